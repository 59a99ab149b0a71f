#include "console/load.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "console/files.h"
#include "site_agent/cohort_folder.h"
#include "study/study_file.h"

namespace consilium::console {

Result<std::map<std::string, std::filesystem::path>> ParseSites(
    const std::vector<std::string>& arguments) {
  std::map<std::string, std::filesystem::path> sites;
  for (const std::string& argument : arguments) {
    const auto equals = argument.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == argument.size()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("--site {}: expected NAME=COHORT.yaml", argument));
    }
    if (!sites.emplace(argument.substr(0, equals), argument.substr(equals + 1)).second) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("--site {}: the site is given twice", argument.substr(0, equals)));
    }
  }
  return sites;
}

Result<LoadedStudy> Load(const std::filesystem::path& study_path,
                         const std::map<std::string, std::filesystem::path>& sites,
                         const std::filesystem::path& data) {
  auto text = ReadFile(study_path, std::uintmax_t{1} << 20);
  CONSILIUM_TRY(text);
  auto study = study::ParseStudy(*text, study_path.string());
  CONSILIUM_TRY(study);
  LoadedStudy loaded{std::move(*study), std::move(*text), {}, {}};
  if (sites.empty()) return loaded;

  std::vector<std::string> problems;
  for (const auto& [name, path] : sites) {
    if (std::find(loaded.study.sites.begin(), loaded.study.sites.end(), name) ==
        loaded.study.sites.end()) {
      problems.push_back(fmt::format("--site {}: the study has no such site; it names {}", name,
                                     fmt::join(loaded.study.sites, ", ")));
    }
  }
  std::map<std::string, site_agent::CohortTables> files;
  for (const std::string& name : loaded.study.sites) {
    const auto given = sites.find(name);
    if (given == sites.end()) {
      problems.push_back(fmt::format(
          "site {}: the study names it, but there is no --site {}=COHORT.yaml", name, name));
      continue;
    }
    auto read = site_agent::ReadCohort(given->second, data, name, "--site");
    if (!read) {
      problems.push_back(fmt::format("site {}: {}", name, read.error().message));
      continue;
    }
    files.emplace(name, std::move(*read));
  }
  if (problems.empty()) {
    // The order of columns is that of the first site's header; names only.
    const auto header = site_agent::RadiomicsHeader(files.at(loaded.study.sites.front()));
    CONSILIUM_TRY(header);
    auto resolved = study::ResolveFeatures(loaded.study, *header);
    CONSILIUM_TRY(resolved);
    loaded.study = std::move(*resolved);
    for (auto& [name, site] : files) {
      simulation::LocalSite local;
      local.secret = site.file.site_key.empty()
                         ? site_agent::IdentityFromSeed(name, loaded.study.seed).secret
                         : site.file.site_key;
      site_agent::CohortCheck check = site_agent::CheckCohort(site, loaded.study, local.secret);
      for (const std::string& problem : check.problems) problems.push_back(problem);
      for (const std::string& note : check.notes) loaded.notes.push_back(note);
      if (check.cohort) local.cohort = std::move(*check.cohort);
      loaded.sites.emplace(name, std::move(local));
    }
  }
  if (!problems.empty()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}", fmt::join(problems, "\n")));
  }
  return loaded;
}

}  // namespace consilium::console
