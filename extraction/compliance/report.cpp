#include "extraction/compliance/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/csv.h"
#include "base/digest.h"
#include "disk/files.h"
#include "engine/version.h"

namespace consilium::compliance {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kAbsentToldMax = 3;  // more are summed up

constexpr std::array kVerdicts = {Verdict::kHolds,   Verdict::kExplained, Verdict::kDiffers,
                                  Verdict::kMissing, Verdict::kUnknown,   Verdict::kNotCompared};

// The first of `files` that is not there; empty: all are.
fs::path Absent(const std::vector<fs::path>& files) {
  const auto found = std::find_if(files.begin(), files.end(), [](const fs::path& file) {
    std::error_code none;
    return !fs::exists(file, none);
  });
  return found == files.end() ? fs::path() : *found;
}

Result<std::string> DigestOf(const fs::path& table) {
  if (table.empty() || !Absent({table}).empty()) return std::string();
  const auto text = disk::ReadFile(table);
  CONSILIUM_TRY(text);
  return Hex(Sha256(*text));
}

}  // namespace

std::size_t SetReport::Count(Verdict verdict) const {
  return static_cast<std::size_t>(std::count_if(
      rows.begin(), rows.end(), [&](const Comparison& row) { return row.verdict == verdict; }));
}

bool Report::Holds() const {
  return std::none_of(sets.begin(), sets.end(), [](const SetReport& set) {
    return std::any_of(set.rows.begin(), set.rows.end(),
                       [](const Comparison& row) { return IsFailure(row.verdict); });
  });
}

Result<Report> RunReferenceSets(
    const std::vector<ReferenceSet>& sets,
    const std::function<void(std::size_t, std::size_t, const std::string&)>& progress) {
  Report report;
  std::size_t all = 0, done = 0, run = 0;
  for (const ReferenceSet& set : sets) all += set.parts.size();
  for (const ReferenceSet& set : sets) {
    auto digest = DigestOf(set.table);
    CONSILIUM_TRY(digest);
    SetReport& of_set = report.sets.emplace_back(
        SetReport{set.name, set.rule, std::move(*digest), {}, set.left_out});
    std::vector<std::string> absent;
    for (const Part& part : set.parts) {
      progress(done++, all, fmt::format("{}, {}", set.name, part.name));
      if (const fs::path file = Absent(part.files); !file.empty()) {
        absent.push_back(fmt::format("{}: {} is not there", part.name, file.filename().string()));
        continue;
      }
      auto rows = part.compare();
      if (!rows)
        return tl::unexpected(Within(fmt::format("{}, {}", set.name, part.name), rows.error()));
      std::move(rows->begin(), rows->end(), std::back_inserter(of_set.rows));
      ++run;
    }
    if (absent.size() > kAbsentToldMax)
      absent = {fmt::format("{} of {} parts; {}, and so on", absent.size(), set.parts.size(),
                            absent.front())};
    std::move(absent.begin(), absent.end(), std::back_inserter(of_set.left_out));
  }
  if (run == 0) {
    return Fail(ErrorCode::kNotFound,
                "no reference set has its files in this folder; expected tables like "
                "ibsi1_reference.csv and images under data/ (docs/compliance.md)");
  }
  return report;
}

std::vector<Exceptions> ExceptionsOf(const SetReport& set) {
  std::vector<Exceptions> all;
  for (const Comparison& row : set.rows) {
    if (row.verdict == Verdict::kHolds && row.cause.empty()) continue;
    auto found = std::find_if(all.begin(), all.end(), [&](const Exceptions& one) {
      return one.verdict == row.verdict && one.cause == row.cause;
    });
    if (found == all.end()) found = all.insert(all.end(), {row.verdict, row.cause, {}});
    found->rows.push_back(&row);
  }
  return all;
}

std::string Exceptions::Title() const {
  return fmt::format("{} {}", rows.size(),
                     verdict == Verdict::kHolds ? "held by a rule of their own" : Name(verdict));
}

std::string NameOf(const Comparison& row) {
  std::string name = row.configuration + ":";
  for (const std::string* part : {&row.family, &row.feature, &row.aggregation}) {
    if (!part->empty()) name += " " + *part;
  }
  return name;
}

std::string CsvOf(const Report& report) {
  CsvWriter csv;
  csv.Row({"reference_set", "configuration", "family", "aggregation", "feature", "ibsi_code",
           "reference", "tolerance", "ours", "verdict", "cause"});
  for (const SetReport& set : report.sets) {
    for (const Comparison& row : set.rows) {
      csv.Cell(set.name).Cell(row.configuration).Cell(row.family).Cell(row.aggregation);
      csv.Cell(row.feature).Cell(row.ibsi_code).Cell(row.reference).Cell(row.tolerance);
      csv.Cell(row.ours).Cell(Name(row.verdict)).Cell(row.cause);
      csv.EndRow();
    }
  }
  return csv.text();
}

std::string TextOf(const Report& report) {
  constexpr std::size_t kNamedMax = 10;
  std::string text;
  for (const SetReport& set : report.sets) {
    text +=
        fmt::format("{:<26}{} of {} hold", set.name, set.Count(Verdict::kHolds), set.compared());
    text += set.rows.empty() ? ": nothing was run\n" : "\n";
    for (const Exceptions& one : ExceptionsOf(set)) {
      text += fmt::format("    {}{}{}\n", one.Title(), one.cause.empty() ? "" : ": ", one.cause);
      if (!IsFailure(one.verdict)) continue;
      for (std::size_t i = 0; i < std::min(one.rows.size(), kNamedMax); ++i) {
        const Comparison& row = *one.rows[i];
        text += fmt::format("        {}: {}, expected {} +- {:.3g}\n", NameOf(row), row.ours,
                            row.reference, row.tolerance);
      }
      if (one.rows.size() > kNamedMax) text += "        and more: see the tables\n";
    }
    for (const std::string& sentence : set.left_out)
      text += fmt::format("    not run: {}\n", sentence);
  }
  return text;
}

std::string JsonOf(const Report& report, const fs::path& out, int exit_code) {
  nlohmann::ordered_json sets = nlohmann::ordered_json::array();
  for (const SetReport& set : report.sets) {
    nlohmann::ordered_json counts, exceptions = nlohmann::ordered_json::array();
    for (const Verdict verdict : kVerdicts) counts[std::string(Name(verdict))] = set.Count(verdict);
    for (const Exceptions& one : ExceptionsOf(set)) {
      exceptions.push_back(
          {{"verdict", Name(one.verdict)}, {"cause", one.cause}, {"rows", one.rows.size()}});
    }
    sets.push_back({{"name", set.name},
                    {"compared", set.compared()},
                    {"verdicts", std::move(counts)},
                    {"exceptions", std::move(exceptions)},
                    {"left_out", set.left_out}});
  }
  return nlohmann::ordered_json{{"event", "compliance"},      {"out", out.string()},
                                {"engine", engine::kVersion}, {"holds", report.Holds()},
                                {"sets", std::move(sets)},    {"exit", exit_code}}
             .dump() +
         "\n";
}

Result<void> WriteReport(const Report& report, const fs::path& out) {
  CONSILIUM_TRY(disk::MakeFolder(out));
  CONSILIUM_TRY(disk::ReplaceFile(out / "compliance.csv", CsvOf(report)));
  return disk::ReplaceFile(out / "compliance.html", HtmlOf(report));
}

}  // namespace consilium::compliance
