// From a site's tables to the rows of a study, with an account of where every row went.
//
// Pure: the caller reads the files and gives their texts. Rows keep the order of the radiomics
// table, features take the study's order. Rows are looked at in this order, and leave at the first
// reason that applies: other center, id missing, repeated id, no clinical record, patient missing,
// outcome missing, covariate missing, all features missing. Messages name site, file, line and
// column, never a cell.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/strict_yaml.h"
#include "federation/cohort.h"
#include "site_agent/cohort_file.h"
#include "study/study.h"

namespace consilium::site_agent {

struct CohortCheck {
  std::optional<federation::Cohort> cohort;  // absent when there are problems
  Problems problems;               // everything that must change before the study can run here
  std::vector<std::string> notes;  // what was done in accordance with the file; counts only
};

// The column names of the site's radiomics table: what study::ResolveFeatures is given.
// Errors: as ParseCsv (base/csv.h).
[[nodiscard]] Result<std::vector<std::string>> RadiomicsHeader(const CohortFile& file,
                                                               std::string_view radiomics_csv);

// Builds the cohort or tells everything that is wrong, each column's first line and its count.
//   resolved       the study after ResolveFeatures
//   radiomics_csv  the text of file.radiomics
//   clinical_csv   the text of file.clinical; present exactly if that is
//   site_key       for keyed folds, at least 16 bytes; file.site_key is used instead if it is
//   written
// A training center needs study.minimum_rows rows and both classes. A center that is only held out
// may have fewer, one class or none: the report lists it.
[[nodiscard]] CohortCheck CheckCohort(const CohortFile& file, const study::Study& resolved,
                                      std::string_view radiomics_csv,
                                      std::optional<std::string_view> clinical_csv,
                                      const Bytes& site_key);

// The cohort of CheckCohort, or all its problems as one error, a line each; `notes`, if given,
// receives the notes. Errors: kInvalidArgument.
[[nodiscard]] Result<federation::Cohort> BuildCohort(const CohortFile& file,
                                                     const study::Study& resolved,
                                                     std::string_view radiomics_csv,
                                                     std::optional<std::string_view> clinical_csv,
                                                     const Bytes& site_key,
                                                     std::vector<std::string>* notes = nullptr);

}  // namespace consilium::site_agent
