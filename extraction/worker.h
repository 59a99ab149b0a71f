// The process that reads images: requests come in as lines, outcomes go out as lines.
//
// A request is a case, or several masks of one image to compare. Of a case the worker first says
// under which key its outcome is kept; told that it is known, it does nothing more. Everything that
// is wrong with a case is part of its outcome. After each request it says that it is ready.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "extraction/case_list.h"
#include "extraction/settings.h"

namespace consilium::extraction {

inline constexpr std::string_view kGoOn = "go on";
inline constexpr std::string_view kKnown = "known";
inline constexpr std::string_view kReady = "ready";

// What a parent says, and what it hears.
[[nodiscard]] std::string RequestOf(const Case& one);
[[nodiscard]] std::string RequestOf(const std::vector<Case>& raters);  // answer: rater_agreement.h
// The key, if the line asks whether it is known.
[[nodiscard]] std::optional<std::string> KeyAsked(std::string_view line);

// Until `in` ends. Errors: kInternal (a line is no request).
[[nodiscard]] Result<void> Serve(std::istream& in, std::ostream& out, const Settings& settings);

}  // namespace consilium::extraction
