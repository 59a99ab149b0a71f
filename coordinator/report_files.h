// A report as the files that people get.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "study/results.h"

namespace consilium::coordinator {

// Every file of a report by name: report.json, the CSV tables, report.html. The same results give
// the same bytes. Errors: ReportHtml's.
[[nodiscard]] Result<std::map<std::string, std::string>> ReportFiles(const study::Results& results);

}  // namespace consilium::coordinator
