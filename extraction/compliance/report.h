// What became of every reference set, and how it is told.
//
// compliance.csv has a row for each value; compliance.html is the same to be read: the summary on
// top, what does not hold with its cause, then the tables, to be filtered. Neither holds a time or
// a place: the same program and the same references give the same bytes.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "extraction/compliance/reference_set.h"

namespace consilium::compliance {

struct SetReport {
  std::string name, rule;
  std::string table_sha256;  // of the reference's table; empty where it has none
  std::vector<Comparison> rows;
  std::vector<std::string> left_out;  // sentences: what was not run
  // How many rows have the verdict.
  [[nodiscard]] std::size_t Count(Verdict verdict) const;
  // How many were compared at all.
  [[nodiscard]] std::size_t compared() const { return rows.size() - Count(Verdict::kNotCompared); }
};

struct Report {
  std::vector<SetReport> sets;
  [[nodiscard]] bool Holds() const;  // no row is a failure
};

// Does all parts of all sets whose files are there; a part whose files are not is left out and
// said. `progress(done, all, what)` before each part. Errors: those of the parts (names set and
// part); kNotFound (no part has its files).
[[nodiscard]] Result<Report> RunReferenceSets(
    const std::vector<ReferenceSet>& sets,
    const std::function<void(std::size_t, std::size_t, const std::string&)>& progress);

// Rows that are not simply held, by verdict and cause, in order of appearance.
struct Exceptions {
  Verdict verdict = Verdict::kNotCompared;
  std::string cause;  // may be empty
  std::vector<const Comparison*> rows;
  [[nodiscard]] std::string Title() const;  // "4 explained", "48 held by a rule of their own"
};
[[nodiscard]] std::vector<Exceptions> ExceptionsOf(const SetReport& set);

// "brain1, default: shape MeshVolume"
[[nodiscard]] std::string NameOf(const Comparison& row);

[[nodiscard]] std::string CsvOf(const Report& report);
// One page without anything from elsewhere, UTF-8. Rows that were not compared are only counted.
[[nodiscard]] std::string HtmlOf(const Report& report);
// Lines for a terminal; and one line of JSON, event "compliance".
[[nodiscard]] std::string TextOf(const Report& report);
[[nodiscard]] std::string JsonOf(const Report& report, const std::filesystem::path& out,
                                 int exit_code);

// compliance.csv and compliance.html into `out`, which is made. Errors: those of MakeFolder and
// ReplaceFile.
[[nodiscard]] Result<void> WriteReport(const Report& report, const std::filesystem::path& out);

}  // namespace consilium::compliance
