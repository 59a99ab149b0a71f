// Shards of a list of cases and their merge, by the program: the bytes of one run, or a refusal
// that names the folder.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "tests/extraction/extract_program.h"

namespace consilium::extraction {
namespace {

const engine::Grid kGrid{{12, 12, 12}, {1.5, 1, 2}};
constexpr int kCases = 7;                           // and one that fails
constexpr int kDone = 1, kWrong = 3, kStopped = 4;  // exit codes; 1: done, but a case failed

class ExtractMerge : public ::testing::Test {
 protected:
  ExtractMerge() {
    WriteCases(folder_, kGrid, kCases, kGone);
    folder_.Write("settings.yaml", "setting: {binWidth: 10}\n");
  }
  // Folder `out` of shard `shard` ("2/3") of a list.
  void Shard(const std::string& shard, const std::string& out,
             const std::string& cases = "cases.csv",
             const std::string& settings = "settings.yaml") {
    const Ended ended = Extract(
        folder_, {cases, "--settings", settings, "--out", out, "--shard", shard, "--jobs", "2"});
    ASSERT_TRUE(ended.exit_code == 0 || ended.exit_code == kDone) << ended.said;
  }
  void ShardsOfThree() {
    for (int i = 1; i <= 3; ++i) Shard(fmt::format("{}/3", i), fmt::format("s{}", i));
  }
  void ExpectWholeIn(const std::string& out) {
    if (!folder_.Has("whole")) Shard("1/1", "whole");
    for (const std::string table : {"/features.csv", "/problems.csv"})
      EXPECT_EQ(folder_.Read(out + table), folder_.Read("whole" + table));
  }
  Ended Merge(std::vector<std::string> folders, const std::string& out) {
    folders.insert(folders.begin(), "merge");
    folders.insert(folders.end(), {"--out", out});
    return Extract(folder_, folders);
  }
  // The merge of `folders` says all of `words` and leaves nothing behind.
  void ExpectRefused(const std::vector<std::string>& folders,
                     const std::vector<std::string>& words) {
    const Ended ended = Merge(folders, "refused");
    EXPECT_EQ(ended.exit_code, kWrong) << ended.said;
    for (const std::string& word : words)
      EXPECT_NE(ended.said.find(word), std::string::npos) << word << " in: " << ended.said;
    EXPECT_FALSE(folder_.Has("refused/features.csv"));
  }

  testing_support::ScratchFolder folder_;
};

TEST_F(ExtractMerge, OfAnyNumberOfShardsInAnyOrderIsTheBytesOfOneRun) {
  for (const int count : {1, 2, 5, kCases + 3}) {  // the last: shards without a case
    SCOPED_TRACE(count);
    std::vector<std::string> folders;
    for (int i = 1; i <= count; ++i) {
      const std::string out = fmt::format("{}of{}", i, count);
      Shard(fmt::format("{}/{}", i, count), out);
      folders.insert(folders.begin(), out);  // the last first
    }
    const std::string out = fmt::format("merged{}", count);
    const Ended ended = Merge(folders, out);
    EXPECT_EQ(ended.exit_code, kDone) << ended.said;
    ExpectWholeIn(out);
  }
  EXPECT_NE(folder_.Read("whole/problems.csv").find("\ngone,,failure,"), std::string::npos);
}

TEST_F(ExtractMerge, NamesAShardThatIsMissing) {
  ShardsOfThree();
  ExpectRefused({"s1", "s3"}, {"shard 2 of 3 is missing"});
  ExpectRefused({"s2"}, {"shard 1 of 3 is missing", "shard 3 of 3 is missing"});
}

TEST_F(ExtractMerge, NamesAShardThatIsThereTwice) {
  ShardsOfThree();
  ExpectRefused({"s1", "s2", "s3", "s2"}, {"s2: shard 2 is in s2 already"});
  Shard("2/3", "again");
  ExpectRefused({"s1", "s2", "s3", "again"}, {"again: shard 2 is in s2 already"});
  ExpectRefused({"s1", "s2", "again"},
                {"again: shard 2 is in s2 already"});  // as many as there should be
}

TEST_F(ExtractMerge, RefusesShardsOfOtherSettingsListsNumbersAndEngines) {
  ShardsOfThree();
  folder_.Write("other.yaml", "setting: {binWidth: 11}\n");
  Shard("2/3", "settings", "cases.csv", "other.yaml");
  ExpectRefused({"s1", "settings", "s3"}, {"settings: its settings' digest is not that of s1"});
  folder_.Write("other.csv", folder_.Read("cases.csv") + "late,case1.nrrd,mask.nrrd,A\n");
  Shard("2/3", "list", "other.csv");
  ExpectRefused({"s1", "list", "s3"}, {"list: its list's digest is not that of s1"});
  Shard("2/4", "number");
  ExpectRefused({"s1", "number", "s3"}, {"number: its number of shards is not that of s1 (4, 3)"});

  std::string run = folder_.Read("s2/run.json");
  const std::size_t at = run.find("consilium-engine");
  ASSERT_NE(at, std::string::npos);
  folder_.Write("s2/run.json", run.replace(at, 9, "different"));
  ExpectRefused({"s1", "s2", "s3"}, {"s2: its engine is not that of s1"});
}

TEST_F(ExtractMerge, RefusesAFolderThatHoldsNoRunOrADamagedOne) {
  ShardsOfThree();
  std::filesystem::create_directory(folder_.path() / "empty");
  ExpectRefused({"s1", "empty", "s3"}, {"empty/run.json"});
  ExpectRefused({"s1", "nowhere", "s3"}, {"nowhere/run.json"});
  const std::string run = folder_.Read("s2/run.json");
  folder_.Write("s2/run.json", run.substr(0, run.size() / 2));
  ExpectRefused({"s1", "s2", "s3"}, {"s2/run.json is damaged", "extract again"});
  folder_.Write("s2/run.json", run);
  folder_.Write("s2/journal.jsonl", "");  // what the run file says it holds is gone
  ExpectRefused({"s1", "s2", "s3"}, {"s2/journal.jsonl"});
}

TEST_F(ExtractMerge, RefusesAnUnfinishedShardUntilTheSameCommandHasFinishedIt) {
  constexpr int kMany = 150;
  WriteCases(folder_, kGrid, kMany, kGone);
  folder_.Write("settings.yaml",
                "imageType: {Original: {}, Wavelet: {}, LoG: {sigma: [2, 3, 4]}, Square: {}}\n"
                "setting: {binWidth: 10}\n");
  Shard("1/2", "s1");
  const std::vector<std::string> second = {"cases.csv", "--settings", "settings.yaml", "--out",
                                           "s2",        "--shard",    "2/2",           "--jobs",
                                           "1",         "--json"};
  Started run(folder_, second);  // told to stop as soon as one of its cases is done
  ASSERT_TRUE(WaitForJournal(folder_, "s2", 1));
  ASSERT_EQ(::kill(run.pid(), SIGTERM), 0);
  const Ended stopped = run.Wait();
  ASSERT_EQ(stopped.exit_code, kStopped) << stopped.said;
  ExpectRefused({"s1", "s2"}, {"s2: its run was not finished", "run the same command again"});

  const Ended again = Extract(folder_, second);
  ASSERT_EQ(again.exit_code, 0) << again.said;  // the case that fails is in the first
  EXPECT_EQ(again.said.find("\"known\":0,\"failed\":0,\"rows\""), std::string::npos) << again.said;
  EXPECT_EQ(Merge({"s1", "s2"}, "merged").exit_code, kDone);
  ExpectWholeIn("merged");
}

}  // namespace
}  // namespace consilium::extraction
