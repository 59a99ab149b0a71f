// The study file: YAML into a Study, with everything checked that can be checked before data is
// touched.
//
// The keys are documented in docs/formats/study.md. Nothing here reads a file or a clock: the same
// bytes give the same Study and the same digest everywhere. Definitions: notes on validation
// (primary, margin, thresholds, counting centers) and DESIGN.md, "Disclosure rules".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "study/study.h"

namespace consilium::study {

// The word of `folds.column` that leaves the choice of column or rule to each site's cohort file.
inline constexpr std::string_view kFoldsFromCohortFile = "cohort";

// The study in `yaml`; `file_name` stands at the head of every message ("FILE:LINE:COL: field
// ..."). Feature groups keep their patterns: see ResolveFeatures. All problems are told at once, a
// line each. Errors: kInvalidArgument (not the format, or a contradiction), kPermissionDenied
// (every problem is a disclosure rule: too few training centers, missing consents, the outcome
// among `preserve`), kResourceExhausted (file beyond 1 MiB or nested too deeply).
[[nodiscard]] Result<Study> ParseStudy(std::string_view yaml, std::string_view file_name);

// The study with each feature group's patterns expanded against one site's header, in header order:
// fills `groups[].columns`, `feature_columns` (group after group) and `digest` = SHA-256 of the
// file's digest and the resolved names in canonical bytes (base/bytes.h). Names only: no row is
// looked at. Errors: kInvalidArgument (a pattern matches no column: names it and the nearest
// column; a column in two groups; a group left empty by its exclusions; a column that has the name
// of the outcome).
[[nodiscard]] Result<Study> ResolveFeatures(const Study& study,
                                            const std::vector<std::string>& header);

// The sites whose rows may train in some fit: all but the named held-out centers, or all of them
// under leave-one-center-out. In the order of `sites`.
[[nodiscard]] std::vector<std::string> TrainingCenters(const Study& study);
// Whether `site` is one of them; false of a name that is no site of the study.
[[nodiscard]] bool Trains(const Study& study, std::string_view site);

// The columns that a variable becomes: its name, or name=level for every level after the first.
[[nodiscard]] std::vector<std::string> VariableColumns(const Variable& variable);

// All variables' columns in the study's order: the covariates of a cohort. [p]
[[nodiscard]] std::vector<std::string> CovariateColumns(const Study& study);

// The columns of a feature set in order, groups resolved and categorical variables as name=level.
// Empty if the study has no such set. Requires ResolveFeatures before, if a group is named.
[[nodiscard]] std::vector<std::string> FeatureSetColumns(const Study& study, std::string_view set);

}  // namespace consilium::study
