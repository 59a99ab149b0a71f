// The tree as it stands keeps the house rules (source_rules.h): arrows, pure folders, portable
// mathematics, headers as manuals, no machine in the text, two commands to set up.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tests/architecture/source_rules.h"

namespace consilium::architecture {
namespace {

namespace fs = std::filesystem;

struct SourceFile {
  std::string path;  // from the root, with slashes
  std::string text;
};

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Every file of the checkout but what git and builds keep there, by path.
const std::vector<SourceFile>& Tree() {
  static const std::vector<SourceFile> kTree = [] {
    const fs::path root(CONSILIUM_SOURCE_DIR);
    std::vector<SourceFile> files;
    for (auto entry = fs::recursive_directory_iterator(root);
         entry != fs::recursive_directory_iterator(); ++entry) {
      const std::string name = entry->path().filename().string();
      if (entry->is_directory() && (name == ".git" || name == ".cache" || name == "node_modules" ||
                                    (entry.depth() == 0 && name.starts_with("build")))) {
        entry.disable_recursion_pending();
      } else if (entry->is_regular_file() && name != ".git" && !name.ends_with(".o")) {
        files.push_back(
            {entry->path().lexically_relative(root).generic_string(), ReadFile(entry->path())});
      }
    }
    std::sort(files.begin(), files.end(),
              [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
    return files;
  }();
  return kTree;
}

const SourceFile& FileAt(std::string_view path) {
  for (const SourceFile& file : Tree()) {
    if (file.path == path) return file;
  }
  static const SourceFile kNone;
  ADD_FAILURE() << "the tree has no file " << path;
  return kNone;
}

bool IsCode(const SourceFile& file) {
  return file.path.ends_with(".h") || file.path.ends_with(".cpp");
}
bool InSourceFolder(const SourceFile& file) {
  return Arrows().contains(file.path.substr(0, file.path.find('/')));
}

using Rule = std::function<std::vector<std::string>(std::string_view, std::string_view)>;

// Holds `rule` on the files that `wanted` picks; there must be some.
void Hold(const Rule& rule, const std::function<bool(const SourceFile&)>& wanted) {
  std::size_t looked_at = 0;
  for (const SourceFile& file : Tree()) {
    if (!wanted(file)) continue;
    ++looked_at;
    for (const std::string& sentence : rule(file.path, file.text)) ADD_FAILURE() << sentence;
  }
  EXPECT_GT(looked_at, 0U) << "no file was looked at: is the source tree where it was built from?";
}

TEST(House, EveryIncludeFollowsAnArrow) {
  Hold(CheckArrows, [](const SourceFile& file) { return IsCode(file) && InSourceFolder(file); });
}

TEST(House, EveryLinkedTargetFollowsAnArrow) {
  Hold(CheckLinkedTargets, [](const SourceFile& file) {
    return file.path.ends_with("/CMakeLists.txt") && InSourceFolder(file);
  });
}

TEST(House, FilesSocketsThreadsClocksAndLibrariesStayAtTheEdges) {
  Hold(CheckSystemHeaders,
       [](const SourceFile& file) { return IsCode(file) && InSourceFolder(file); });
}

TEST(House, GrpcEndsInTheEdges) {
  Hold(CheckStubs, [](const SourceFile& file) { return IsCode(file) && InSourceFolder(file); });
}

TEST(House, ItkAndGdcmEndInTheirFolders) {
  Hold(CheckImageLibraries, [](const SourceFile& file) { return IsCode(file); });
}

TEST(House, NoReportedNumberPassesLibm) {
  Hold(CheckPortableMath,
       [](const SourceFile& file) { return IsCode(file) && InSourceFolder(file); });
}

TEST(House, EveryHeaderSaysWhatItIsForAndIsReadOnce) {
  Hold(CheckHeaderShape, [](const SourceFile& file) { return file.path.ends_with(".h"); });
}

TEST(House, NoFileNamesAMachineOrARegistry) {
  Hold(CheckPlaces, [](const SourceFile&) { return true; });
}

TEST(Documents, TheReadmeSetsUpWithExactlyTwoCommandsThatAreThere) {
  const auto commands = SetUpCommands(FileAt("README.md").text);
  EXPECT_EQ(commands, (std::vector<std::string>{"./deploy/demo.sh", "./deploy/test.sh"}));
  for (const auto& command : commands) {
    const std::string path = command.substr(2);
    EXPECT_TRUE(FileAt(path).text.starts_with("#!/usr/bin/env bash\n")) << path;
    EXPECT_NE(FileAt(path).text.find("\nset -euo pipefail\n"), std::string::npos) << path;
    const auto mode = fs::status(fs::path(CONSILIUM_SOURCE_DIR) / path).permissions();
    EXPECT_NE(mode & fs::perms::owner_exec, fs::perms::none) << path << " is not executable";
  }
  EXPECT_NE(FileAt(".ci/run").text.find("\n./deploy/test.sh\n"), std::string::npos)
      << ".ci/run must run the very command of README.md";
}

TEST(Documents, EveryRelativeLinkLeadsSomewhere) {
  std::size_t links = 0;
  for (const SourceFile& file : Tree()) {
    if (!file.path.ends_with(".md")) continue;
    const fs::path folder = (fs::path(CONSILIUM_SOURCE_DIR) / file.path).parent_path();
    for (const auto& link : RelativeLinks(file.text)) {
      ++links;
      EXPECT_TRUE(fs::exists(folder / link)) << file.path << " links to " << link;
    }
  }
  EXPECT_GT(links, 0U);
}

}  // namespace
}  // namespace consilium::architecture
