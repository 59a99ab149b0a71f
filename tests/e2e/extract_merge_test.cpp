// Shards of a list of cases and their merge, by the program: the bytes of one run, or a refusal
// that names the folder.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/extract_program.h"

namespace consilium {
namespace {

using namespace testing_support;  // NOLINT: a test

constexpr int kCases = 7;                           // and one that fails
constexpr int kDone = 1, kWrong = 3, kStopped = 4;  // exit codes; 1: done, but a case failed

class ExtractMerge : public ::testing::Test {
 protected:
  ExtractMerge() {
    WriteCases(folder_, kCases);
    folder_.Write("settings.yaml", "setting: {binWidth: 10}\n");
  }
  // Folder `out` of shard `shard` ("2/3") of a list.
  void Shard(const std::string& shard, const std::string& out, const std::string& more = "",
             const std::string& cases = "cases.csv",
             const std::string& settings = "settings.yaml") {
    const Told told =
        Extract(folder_, fmt::format("{} --settings {} --out {} --shard {} --jobs 2 {}", cases,
                                     settings, out, shard, more));
    ASSERT_TRUE(told.exit_code == 0 || told.exit_code == kDone) << told.said;
  }
  void ShardsOfThree() {
    for (int i = 1; i <= 3; ++i) Shard(fmt::format("{}/3", i), fmt::format("s{}", i));
  }
  void ExpectWholeIn(const std::string& out) {
    if (!folder_.Has("whole")) Shard("1/1", "whole");
    for (const std::string table : {"/features.csv", "/problems.csv"})
      EXPECT_EQ(folder_.Read(out + table), folder_.Read("whole" + table));
  }
  // `merge FOLDERS` says all of `words` and leaves nothing behind.
  void ExpectRefused(const std::string& folders, const std::vector<std::string>& words) {
    const Told told = Extract(folder_, "merge " + folders + " --out refused");
    EXPECT_EQ(told.exit_code, kWrong) << told.said;
    for (const std::string& word : words)
      EXPECT_NE(told.said.find(word), std::string::npos) << word << " in: " << told.said;
    EXPECT_FALSE(folder_.Has("refused/features.csv"));
  }

  ScratchFolder folder_;
};

TEST_F(ExtractMerge, OfAnyNumberOfShardsInAnyOrderIsTheBytesOfOneRun) {
  for (const int count : {1, 2, 5, kCases + 3}) {  // the last: shards without a case
    SCOPED_TRACE(count);
    std::string folders;
    for (int i = 1; i <= count; ++i) {
      const std::string out = fmt::format("{}of{}", i, count);
      Shard(fmt::format("{}/{}", i, count), out);
      folders = out + " " + folders;  // the last first
    }
    const std::string out = fmt::format("merged{}", count);
    const Told told = Extract(folder_, "merge " + folders + "--out " + out);
    EXPECT_EQ(told.exit_code, kDone) << told.said;
    ExpectWholeIn(out);
  }
  EXPECT_NE(folder_.Read("whole/problems.csv").find("\ngone,,failure,"), std::string::npos);
}

TEST_F(ExtractMerge, NamesAShardThatIsMissing) {
  ShardsOfThree();
  ExpectRefused("s1 s3", {"shard 2 of 3 is missing"});
  ExpectRefused("s2", {"shard 1 of 3 is missing", "shard 3 of 3 is missing"});
}

TEST_F(ExtractMerge, NamesAShardThatIsThereTwice) {
  ShardsOfThree();
  ExpectRefused("s1 s2 s3 s2", {"s2: shard 2 is in s2 already"});
  Shard("2/3", "again");
  ExpectRefused("s1 s2 s3 again", {"again: shard 2 is in s2 already"});
  ExpectRefused("s1 s2 again", {"again: shard 2 is in s2 already"});  // as many as there should be
}

TEST_F(ExtractMerge, RefusesShardsOfOtherSettingsListsNumbersAndEngines) {
  ShardsOfThree();
  folder_.Write("other.yaml", "setting: {binWidth: 11}\n");
  Shard("2/3", "settings", "", "cases.csv", "other.yaml");
  ExpectRefused("s1 settings s3", {"settings: its settings' digest is not that of s1"});
  folder_.Write("other.csv", folder_.Read("cases.csv") + "late,case1.nrrd,case1.label.nrrd,A\n");
  Shard("2/3", "list", "", "other.csv");
  ExpectRefused("s1 list s3", {"list: its list's digest is not that of s1"});
  Shard("2/4", "number");
  ExpectRefused("s1 number s3", {"number: its number of shards is not that of s1 (4, 3)"});

  std::string run = folder_.Read("s2/run.json");
  const std::size_t at = run.find("consilium-engine");
  ASSERT_NE(at, std::string::npos);
  folder_.Write("s2/run.json", run.replace(at, 9, "different"));
  ExpectRefused("s1 s2 s3", {"s2: its engine is not that of s1"});
}

TEST_F(ExtractMerge, RefusesAFolderThatHoldsNoRunOrADamagedOne) {
  ShardsOfThree();
  std::filesystem::create_directory(folder_.path() / "empty");
  ExpectRefused("s1 empty s3", {"empty/run.json"});
  ExpectRefused("s1 nowhere s3", {"nowhere/run.json"});
  const std::string run = folder_.Read("s2/run.json");
  folder_.Write("s2/run.json", run.substr(0, run.size() / 2));
  ExpectRefused("s1 s2 s3", {"s2/run.json is damaged", "extract again"});
  folder_.Write("s2/run.json", run);
  folder_.Write("s2/journal.jsonl", "");  // what the run file says it holds is gone
  ExpectRefused("s1 s2 s3", {"s2/journal.jsonl"});
}

TEST_F(ExtractMerge, RefusesAnUnfinishedShardUntilTheSameCommandHasFinishedIt) {
  constexpr int kMany = 150;
  WriteCases(folder_, kMany);
  folder_.Write("settings.yaml",
                "imageType: {Original: {}, Wavelet: {}, LoG: {sigma: [2, 3, 4]}, Square: {}}\n"
                "setting: {binWidth: 10}\n");
  Shard("1/2", "s1");
  const std::string second = "cases.csv --settings settings.yaml --out s2 --shard 2/2 --jobs 1";
  // Told to stop as soon as one of its cases is done.
  const Told stopped =
      Shell(folder_, fmt::format("{} --json {} >events & program=$!; "
                                 "until grep -q '\"done\":1,' events; do sleep 0.01; done; "
                                 "kill -TERM $program; wait $program",
                                 CONSILIUM_EXTRACT_BINARY, second));
  ASSERT_EQ(stopped.exit_code, kStopped) << stopped.said << folder_.Read("events");
  ExpectRefused("s1 s2", {"s2: its run was not finished", "run the same command again"});

  const Told again = Extract(folder_, "--json " + second);
  ASSERT_EQ(again.exit_code, 0) << again.said;  // the case that fails is in the first
  EXPECT_EQ(again.said.find("\"known\":0,\"failed\":0,\"rows\""), std::string::npos) << again.said;
  EXPECT_EQ(Extract(folder_, "merge s1 s2 --out merged").exit_code, kDone);
  ExpectWholeIn("merged");
}

}  // namespace
}  // namespace consilium
