// Files that arrive stay in their folder, and are whole or not there.
#include "console/incoming.h"

#include <gtest/gtest.h>

#include "tests/support/scratch_folder.h"

namespace consilium::console {
namespace {

std::size_t Entries(const std::filesystem::path& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

TEST(CheckFileName, TakesTheNamesOfAReport) {
  for (const char* name : {"report.json", "log.consilium", "net_benefit_thresholds.csv", "7.csv"})
    EXPECT_TRUE(CheckFileName(name).has_value()) << name;
  EXPECT_TRUE(CheckFileName(std::string(128, 'a')).has_value());
}

TEST(CheckFileName, RefusesEverythingThatCouldLeaveTheFolderOrHide) {
  for (const std::string& name :
       {std::string(), std::string(".."), std::string("../x"), std::string("a/b"),
        std::string("/etc/passwd"), std::string(".bashrc"), std::string("-rf"), std::string("a\\b"),
        std::string("a b"), std::string("a\0b", 3), std::string("a\n"), std::string("caf\xC3\xA9"),
        std::string(129, 'a')}) {
    const auto checked = CheckFileName(name);
    ASSERT_FALSE(checked.has_value()) << name;
    EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(IncomingFile, ReplacesItsTargetWhenItIsWhole) {
  const testing_support::ScratchFolder scratch;
  scratch.Write("log", "old");
  {
    auto file = IncomingFile::Begin(scratch.path() / "log");
    ASSERT_TRUE(file.has_value()) << file.error().message;
    ASSERT_TRUE(file->Append("ne").has_value());
    EXPECT_EQ(scratch.Read("log"), "old");
    ASSERT_TRUE(file->Append("w").has_value());
    ASSERT_TRUE(file->Commit().has_value());
    EXPECT_EQ(file->bytes(), 3U);
  }
  EXPECT_EQ(scratch.Read("log"), "new");
  EXPECT_EQ(Entries(scratch.path()), 1U);
}

TEST(IncomingFile, ThatIsNotFinishedLeavesWhatWasThereAndNothingElse) {
  const testing_support::ScratchFolder scratch;
  scratch.Write("log", "old");
  {
    auto file = IncomingFile::Begin(scratch.path() / "log");
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE(file->Append("half").has_value());
    const IncomingFile moved = std::move(*file);
    EXPECT_EQ(moved.bytes(), 4U);
  }
  EXPECT_EQ(scratch.Read("log"), "old");
  EXPECT_EQ(Entries(scratch.path()), 1U);
}

TEST(IncomingFile, MakesItsFolderAndSaysWhenItCannot) {
  const testing_support::ScratchFolder scratch;
  auto file = IncomingFile::Begin(scratch.path() / "a" / "b" / "log");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  ASSERT_TRUE(file->Commit().has_value());
  EXPECT_TRUE(scratch.Has("a/b/log"));
  scratch.Write("file", "");
  const auto below = IncomingFile::Begin(scratch.path() / "file" / "log");
  ASSERT_FALSE(below.has_value());
  EXPECT_NE(below.error().message.find("file"), std::string::npos);
}

}  // namespace
}  // namespace consilium::console
