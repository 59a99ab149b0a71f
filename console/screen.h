// How the console speaks: exit codes, errors and where lines go.
//
// Results go to standard output; errors, notes and progress to standard error. With --json
// everything is one JSON object a line on standard output.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace consilium::console {

// Documented in README.md and in --help; scripts rely on them.
enum ExitCode {
  kOk = 0,
  kStudyRefused = 1,
  kUsage = 2,
  kInputWrong = 3,
  kDisclosureRefused = 4,
  kAuditFailed = 5,
  kUnreachable = 6,
  kInternal = 70,
};

inline constexpr const char* kExitCodes =
    "Exit codes:\n"
    "  0   done\n"
    "  1   the study was refused, failed or was cancelled; or it cannot be done as things stand\n"
    "  2   the command line is wrong\n"
    "  3   a file or a name is missing or wrong\n"
    "  4   a disclosure rule or the coordinator refused it\n"
    "  5   an audit found that something does not hold\n"
    "  6   the coordinator could not be reached, or the connection broke\n"
    "  70  a fault of the program\n";

// The exit code of an error of files and studies.
[[nodiscard]] int CodeOf(const Error& error);
// The same for an error of a call to a coordinator: kUnavailable is kUnreachable.
[[nodiscard]] int CodeOfCall(const Error& error);

struct Screen {
  bool json = false;
  bool terminal = false;  // stderr is one: colours and a line that is written over

  // Tells the error and returns `code`.
  int Report(const Error& error, int code) const;
  int Report(const Error& error) const { return Report(error, CodeOf(error)); }
  // Something worth knowing that changes no result; nothing with --json.
  void Note(std::string_view sentence) const;
};

}  // namespace consilium::console
