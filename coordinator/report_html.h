// report.html: the report as one file that opens anywhere, and fetches nothing.
//
// Written from report.json and the CSV tables alone, so that anyone who holds them can write it
// again. Every estimate stands in a table and the points of every curve in a CSV file; the plots
// (Vega-Lite, bundled from web/) repeat them, and all else reads without JavaScript. Every name is
// hostile input: escaped in HTML, in attributes and in the data that the script reads. The page's
// content security policy names the script by its SHA-256 and forbids everything else: no network,
// no eval, no forms, no frames.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "coordinator/report_tables.h"

namespace consilium::coordinator {

// The page, UTF-8. `report_json` is the text of ReportJson; of `tables`, coefficients.csv and
// cv.csv are read, and a missing one leaves its section with a remark. Errors: kDataLoss
// (report.json is not JSON, lacks a key, or has another schema; a table is damaged: names the file
// and the key or line).
[[nodiscard]] Result<std::string> ReportHtml(std::string_view report_json,
                                             const std::vector<ReportTable>& tables);

}  // namespace consilium::coordinator
