// One input of wire_fuzz or console_fuzz for every message of proto/, with something in every
// field, and a log that holds. Made in code, so that a change of a format changes them; the corpora
// are these bytes.
#pragma once

#include <map>
#include <string>

namespace consilium::fuzz {

// By the name of the file in the corpus.
using Seeds = std::map<std::string, std::string>;

[[nodiscard]] Seeds WireSeeds();
[[nodiscard]] Seeds ConsoleSeeds();
// A log of two rounds, its header and an entry.
[[nodiscard]] Seeds LogSeeds();

}  // namespace consilium::fuzz
