// Which features stay the same when a measurement is repeated: by another scan, another rater, or a
// perturbation; and lists of those that do.
//
// A subject is a region of a patient's image, measured k times; k repeats are told apart by one
// column of a table of features. Everything that is reported follows from sums over subjects
// (base/agreement.h), and a hospital's table carries them: the tables of several hospitals together
// give what their pooled rows would. The file's format, and what its sums disclose:
// docs/formats/stability.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/agreement.h"
#include "base/result.h"

namespace consilium::extraction {

inline constexpr int kRepeatsMax = 1000;
// Of fewer patients no sums are written, and none are read.
inline constexpr std::int64_t kPatientsMin = 5;

struct RepeatDesign {
  std::string column;  // that tells repeats apart: "scan", "rater", "perturbation"
  // Patterns of features' names; none: the columns behind kBeforeFeatures (table.h).
  std::vector<std::string> features;
};

// One feature. A subject counts if all its repeats have a number.
struct FeatureSums {
  std::string name;
  std::int64_t sites = 1, patients = 0, left_out = 0;  // hospitals; subjects that do not count
  RepeatSums sums;
  double first_squares = 0;  // of the first repeat alone, from sums.centre
};
struct Stability {
  std::vector<std::string> repeats;  // [k] their names, as numbers where all are
  std::vector<FeatureSums> features;
};

// From a table of features (table.h), or another one with columns `patient` and `column`; the
// facets (case_list.h) and `region` distinguish a patient's subjects where they are there. Rows
// with nothing in `column` do not count. Errors: those of ParseCsv; kInvalidArgument (a column is
// missing, fewer than two repeats or more than kRepeatsMax, a subject has a repeat twice, a pattern
// without a feature).
[[nodiscard]] Result<Stability> MeasureStability(std::string_view table, std::string_view name,
                                                 const RepeatDesign& design);

// stability.csv.
[[nodiscard]] std::string ToCsv(const Stability& stability);
// The sums of a stability.csv; its other columns are not looked at. Features without sums are left
// out. Errors: those of ParseCsv; kInvalidArgument (no stability.csv; sums that no measurements
// have), kFailedPrecondition (no feature has sums).
[[nodiscard]] Result<Stability> ReadStability(std::string_view text, std::string_view name);
// A feature that not all have counts with those that do: `sites` says how many. `names`: of the
// files, for messages. Errors: kInvalidArgument (other repeats).
[[nodiscard]] Result<Stability> Together(const std::vector<Stability>& parts,
                                         const std::vector<std::string>& names);

// "icc31>=0.75" or "within_cv<0.1": a column of figures of stability.csv and a bound. Errors:
// kInvalidArgument.
struct Condition {
  std::size_t figure = 0;  // its place among the figures
  bool at_least = true, or_equal = true;
  double bound = 0;
};
[[nodiscard]] Result<Condition> ConditionFromText(std::string_view text);
// The features that meet all conditions, in their order; one without the figure does not.
[[nodiscard]] std::vector<std::string> StableFeatures(const Stability& stability,
                                                      const std::vector<Condition>& conditions);
// A `features:` section of a study file (docs/formats/study.md) with one group, `stable`; `why`
// stands above it as a comment.
[[nodiscard]] std::string ToStudySection(const std::vector<std::string>& features,
                                         std::string_view why);

}  // namespace consilium::extraction
