// Completion scripts for shells, generated from the program's own commands and options.
//
// A script walks the words before the cursor to the command they name, then offers its commands and
// options; file names are offered beside them. Nothing is asked of the program or of a coordinator
// while completing.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace CLI {
class App;
}  // namespace CLI

namespace consilium::console {

// The script of "bash", "zsh" or "fish" for `app` and everything below it. Errors: kInvalidArgument
// (another shell: names the three).
[[nodiscard]] Result<std::string> CompletionScript(const CLI::App& app, std::string_view shell);

}  // namespace consilium::console
