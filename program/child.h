// Another program's words.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace consilium::program {

// Where a program that was installed with this one is: in the same folder.
[[nodiscard]] std::filesystem::path Beside(const std::string& name);

// What `command` (path, then arguments) writes to standard output until it ends; its standard error
// is this program's. Errors: kNotFound (it cannot be started), kFailedPrecondition (it ended with
// another exit code than 0, or by a signal: with what it said), kResourceExhausted (it said more
// than `bytes_max`).
[[nodiscard]] Result<std::string> OutputOf(const std::vector<std::string>& command,
                                           std::size_t bytes_max = std::size_t{16} << 20);

}  // namespace consilium::program
