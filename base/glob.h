// Patterns on names: `*` stands for any run of characters (also none), `?` for exactly one.
//
// Everything else stands for itself, case included. There are no character classes and no escapes:
// a study's patterns select columns, and columns do not contain these two characters.
#pragma once

#include <string_view>

namespace consilium {

// Whether the whole of `name` matches `pattern`. Time O(|pattern| * |name|) at worst, no recursion.
[[nodiscard]] bool GlobMatches(std::string_view pattern, std::string_view name);

// Whether `pattern` contains `*` or `?`, so that it may match more than one name.
[[nodiscard]] bool IsGlob(std::string_view pattern);

}  // namespace consilium
