// report.json: everything that a study yielded, in one deterministic text.
//
// Schema, key by key, in docs/formats/report.md. Equal Results give equal bytes: keys in a fixed
// order, doubles as the shortest decimals that read back to the same double, null for what is not
// defined, one element of a table a line so that two reports can be compared with diff.
#pragma once

#include <string>
#include <string_view>

#include "study/results.h"

namespace consilium::coordinator {

inline constexpr std::string_view kReportSchema = "consilium.report/1";

// The text of report.json, UTF-8, ending in a newline. Text that is not UTF-8 (names come from
// other people's files) is written with U+FFFD in place of each bad byte.
[[nodiscard]] std::string ReportJson(const study::Results& results);

}  // namespace consilium::coordinator
