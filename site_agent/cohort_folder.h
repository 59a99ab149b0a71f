// A cohort file and its tables, read from the disk.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "site_agent/cohort_file.h"
#include "site_agent/cohort_table.h"
#include "study/study.h"

namespace consilium::site_agent {

struct CohortTables {
  CohortFile file;
  std::string radiomics;                // the table's text
  std::optional<std::string> clinical;  // exactly if the file names one
};

// The cohort file at `path` of site `site`, and the tables that it names in the folder `data`.
// Errors: kNotFound (a file: names it and why), kInvalidArgument (ParseCohortFile's; it is another
// site's; `expected_by` says who expects this site, for example "--site"), kResourceExhausted (a
// file is too large).
[[nodiscard]] Result<CohortTables> ReadCohort(const std::filesystem::path& path,
                                              const std::filesystem::path& data,
                                              const std::string& site,
                                              std::string_view expected_by);

// The engines that rows of the radiomics table name, in its column `engine`; none: it has no such
// column. Errors: as ParseCsv (base/csv.h).
[[nodiscard]] Result<std::set<std::string>> EnginesOf(const CohortTables& tables);

// RadiomicsHeader and CheckCohort (cohort_table.h) of these tables.
[[nodiscard]] Result<std::vector<std::string>> RadiomicsHeader(const CohortTables& tables);
[[nodiscard]] CohortCheck CheckCohort(const CohortTables& tables, const study::Study& resolved,
                                      const Bytes& site_key);

}  // namespace consilium::site_agent
