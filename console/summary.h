// The verdict and the table of results, as `simulate` and `report` print them.
//
// From report.json alone, so that a report that was fetched and one that was just computed are told
// in the same words. Pure. Keys: docs/formats/report.md.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace consilium::console {

struct ReportSummary {
  std::string word;      // "READY"
  std::string sentence;  // the one to read first
  std::string study;     // its name
  std::string table;     // one line a result, footnotes, number of rounds
};

// Errors: kInvalidArgument (no report.json of a schema that we read: names the field).
[[nodiscard]] Result<ReportSummary> Summarize(std::string_view report_json);

// All of it, as it stands on a screen; `page`: where report.html is.
[[nodiscard]] std::string SummaryText(const ReportSummary& summary, std::string_view page);

}  // namespace consilium::console
