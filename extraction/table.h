// Outcomes as tables that R, Python and spreadsheets open.
//
// features.csv: a row a region: id, patient, facets, region, the list's own columns, provenance,
// features. A column that a row does not have is empty there. problems.csv: what failed or is worth
// a look. patients.csv: a row a patient, with the images' facets in the names of columns and, for
// later time points, differences to the first. perturbations.csv: as features.csv, of regions that
// were perturbed on purpose (perturbation.h), which stand in no other table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "extraction/case_list.h"
#include "extraction/outcome.h"

namespace consilium::extraction {

struct CaseOutcome {
  const Case* of = nullptr;
  Outcome outcome;
};

// Behind this column of features.csv there are features and nothing else.
inline constexpr const char* kBeforeFeatures = "voxels_of_intensities";
inline constexpr const char* kPerturbation = "perturbation";  // a column of perturbations.csv

struct Tables {
  std::string features;                      // CSV
  std::string problems;                      // CSV
  std::optional<std::string> patients;       // CSV, if a patient has several images
  std::optional<std::string> perturbations;  // CSV, if there are any
  std::size_t row_count = 0, problem_count = 0;
};

// `outcomes` in the order of the list. Errors: kInvalidArgument (two images of a patient that
// nothing tells apart, a patient's rows that say different things in a carried column: names ids
// and column).
[[nodiscard]] Result<Tables> MakeTables(const CaseList& list, std::vector<CaseOutcome> outcomes);

}  // namespace consilium::extraction
