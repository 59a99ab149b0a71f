// The house rules as functions over text: arrows between folders, headers that lower folders may
// not include, functions whose bits differ between machines, words that must not stand in the tree.
//
// Each function takes the text of one file and returns what is wrong with it, one sentence a
// violation, beginning "FILE:LINE: ". The rules and their reasons: docs/architecture.md.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace consilium::architecture {

// Which folders a folder may include besides itself. The keys are the source folders.
[[nodiscard]] const std::map<std::string, std::set<std::string>>& Arrows();

// The folders whose results must have the same bits everywhere, and that have no edge to the world.
[[nodiscard]] const std::set<std::string>& PureFolders();

// `path` is relative to the root ("learning/lasso.h").
// Every #include "..." is written from the root and follows an arrow. Includes of other folders
// than the source folders (tests/..., a relative name) are violations.
[[nodiscard]] std::vector<std::string> CheckArrows(std::string_view path, std::string_view text);

// The targets that a source folder's CMakeLists.txt links (consilium::NAME) follow the same arrows.
[[nodiscard]] std::vector<std::string> CheckLinkedTargets(std::string_view path,
                                                          std::string_view text);

// In pure folders: no file, socket, thread, clock or random device; yaml-cpp only in
// base/strict_yaml.cpp, libsodium only in federation/keys.cpp, OpenSSL only in base/digest.cpp,
// base/sha256_stream.cpp, federation/keys.cpp, federation/masks.cpp, federation/sum_shares.cpp and
// identity/ (of its headers only x509.h, which no other folder includes). Other folders pass.
[[nodiscard]] std::vector<std::string> CheckSystemHeaders(std::string_view path,
                                                          std::string_view text);

// gRPC and its stubs appear in the edges' few files only: everything else speaks values
// (federation/wire).
[[nodiscard]] std::vector<std::string> CheckStubs(std::string_view path, std::string_view text);

// ITK's headers appear in the .cpp files of engine/itk only, GDCM's in those of engine/dicom.
[[nodiscard]] std::vector<std::string> CheckImageLibraries(std::string_view path,
                                                           std::string_view text);

// In pure folders: no transcendental function of libm, called as f(...), ::f(...) or named std::f,
// and no Eigen array form x.array().f(). Comments and strings do not count. sqrt, fabs, floor,
// ldexp, ilogb and their like are exact everywhere and allowed; so are functions of other
// namespaces and methods of other objects. Other folders pass.
[[nodiscard]] std::vector<std::string> CheckPortableMath(std::string_view path,
                                                         std::string_view text);

// A header begins with a // comment and has #pragma once behind it, before any code.
[[nodiscard]] std::vector<std::string> CheckHeaderShape(std::string_view path,
                                                        std::string_view text);

// No path of one machine and no address of a package registry.
[[nodiscard]] std::vector<std::string> CheckPlaces(std::string_view path, std::string_view text);

// The commands in the ```sh block of the section "## Set up", in order, comments and blank lines
// apart.
[[nodiscard]] std::vector<std::string> SetUpCommands(std::string_view readme);

// Targets of relative links [text](target) without their #fragment, in order.
[[nodiscard]] std::vector<std::string> RelativeLinks(std::string_view markdown);

// `text` with comments, strings and character literals as spaces; line breaks stay.
[[nodiscard]] std::string CodeOnly(std::string_view text);

}  // namespace consilium::architecture
