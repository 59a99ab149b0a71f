// A study and its sites from the files that people give.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/strict_yaml.h"
#include "simulation/local_federation.h"
#include "study/study.h"

namespace consilium::console {

struct LoadedStudy {
  study::Study study;  // resolved when there are sites
  std::string text;    // the file's bytes
  std::map<std::string, simulation::LocalSite> sites;
  std::vector<std::string> notes;  // what the cohorts did in accordance with their files
};

// "NAME=COHORT.yaml" of each --site. Errors: kInvalidArgument.
[[nodiscard]] Result<std::map<std::string, std::filesystem::path>> ParseSites(
    const std::vector<std::string>& arguments);

// Reads the study; with sites, also every cohort file and table (paths relative to `data`), and
// resolves the study's columns against the header of its first site. All problems of all sites are
// told at once. Errors: kInvalidArgument, kPermissionDenied, kNotFound.
[[nodiscard]] Result<LoadedStudy> Load(const std::filesystem::path& study_path,
                                       const std::map<std::string, std::filesystem::path>& sites,
                                       const std::filesystem::path& data);

}  // namespace consilium::console
