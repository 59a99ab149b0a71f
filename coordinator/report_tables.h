// The report's tables as CSV files: the same numbers as report.json, for R, Python and
// spreadsheets.
//
// RFC 4180 with a line feed at the end of each line: a field with a comma, a quote or a line break
// is quoted (base/csv.h reads them back). A number that is not defined is an empty field; doubles
// are the shortest decimals that read back to the same double. Columns of each file:
// docs/formats/report.md.
#pragma once

#include <string>
#include <vector>

#include "study/results.h"

namespace consilium::coordinator {

struct ReportTable {
  std::string file_name;  // "coefficients.csv"
  std::string csv;        // header line first
};

// coefficients.csv, results.csv, summary.csv, roc.csv, calibration.csv, calibration_groups.csv,
// net_benefit.csv, net_benefit_thresholds.csv, cv.csv, dropped_features.csv, flow.csv,
// disclosure.csv, in this order.
[[nodiscard]] std::vector<ReportTable> ReportTables(const study::Results& results);

}  // namespace consilium::coordinator
