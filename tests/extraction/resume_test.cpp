// An extraction that is stopped or killed is gone on with, and ends as if nothing had happened.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "tests/extraction/extract_program.h"

namespace consilium::extraction {
namespace {

namespace fs = std::filesystem;
using testing_support::ScratchFolder;

constexpr int kCases = 20;

std::vector<std::string> Command(const std::string& out, int jobs = 1) {
  return {"cases.csv", "--settings", "settings.yaml", "--out", out, "--jobs", std::to_string(jobs)};
}

// Twenty cases that take a while each, and what comes of them when nobody interferes.
struct Cases {
  Cases() {
    scratch.Write("settings.yaml",
                  "imageType: {Original: {}, Wavelet: {}}\nsetting: {binWidth: 5}\n");
    WriteCases(scratch, {{36, 32, 22}, {0.9, 1.1, 2}}, kCases);
    const auto ended = Extract(scratch, Command("whole"));
    EXPECT_EQ(ended.exit_code, 0) << ended.said;
    features = scratch.Read("whole/features.csv");
    problems = scratch.Read("whole/problems.csv");
  }
  ScratchFolder scratch;
  std::string features, problems;
};

class Resumed : public testing::Test {
 protected:
  static const Cases& All() {
    static const Cases kAll;
    return kAll;
  }
  // The same command (again): done, and nothing is left of what happened.
  static void ExpectEndsAsIfNothingHad(const std::string& out, int jobs = 1) {
    const auto again = Extract(All().scratch, Command(out, jobs));
    EXPECT_EQ(again.exit_code, 0) << again.said;
    EXPECT_EQ(All().scratch.Read(out + "/features.csv"), All().features);
    EXPECT_EQ(All().scratch.Read(out + "/problems.csv"), All().problems);
  }
};

TEST_F(Resumed, StoppedByTheKeyboardItTellsWhatIsDoneAndGoesOnFromThere) {
  Started run(All().scratch, Command("stopped"));
  ASSERT_TRUE(WaitForJournal(All().scratch, "stopped", 3));
  ASSERT_EQ(::kill(run.pid(), SIGINT), 0);
  const Ended stopped = run.Wait();
  EXPECT_EQ(stopped.exit_code, 4) << stopped.said;
  EXPECT_NE(stopped.said.find("the same command goes on from there"), std::string::npos);
  const auto done = RowsBy("id", All().scratch.Read("stopped/features.csv"));
  EXPECT_GE(done.size(), 2U);
  EXPECT_LT(done.size(), std::size_t{kCases});
  const auto expected = RowsBy("id", All().features);
  for (const auto& [id, row] : done) EXPECT_EQ(row, expected.find(id)->second) << id;
  ExpectEndsAsIfNothingHad("stopped");
}

TEST_F(Resumed, KilledItGoesOnFromWhatReachedTheDisk) {
  for (const std::ptrdiff_t lines : {1, 4, 9}) {
    const std::string out = fmt::format("out-{}", lines);
    Started run(All().scratch, Command(out));
    ASSERT_TRUE(WaitForJournal(All().scratch, out, lines));
    ASSERT_EQ(::kill(run.pid(), SIGKILL), 0);
    EXPECT_EQ(run.Wait().exit_code, -1);
    EXPECT_FALSE(All().scratch.Has(out + "/features.csv"));
    const auto journal = All().scratch.path() / out / "journal.jsonl";
    fs::resize_file(journal, fs::file_size(journal) - 1);  // in the middle of a line
    ExpectEndsAsIfNothingHad(out);
  }
}

TEST_F(Resumed, AKilledWorkerCostsItsCaseAloneUntilTheNextRun) {
  Started run(All().scratch, Command("worker"));
  ASSERT_TRUE(WaitForJournal(All().scratch, "worker", 3));
  const pid_t worker = run.Worker();
  ASSERT_GT(worker, 0);
  ASSERT_EQ(::kill(worker, SIGKILL), 0);
  const Ended ended = run.Wait();
  EXPECT_EQ(ended.exit_code, 1) << ended.said;
  EXPECT_EQ(RowsBy("id", All().scratch.Read("worker/features.csv")).size(),
            std::size_t{kCases - 1});
  const auto problems = RowsBy("kind", All().scratch.Read("worker/problems.csv"));
  ASSERT_EQ(problems.count("failure"), 1U);
  const std::string& message = problems.find("failure")->second.at("message");
  EXPECT_NE(message.find("signal 9"), std::string::npos) << message;
  EXPECT_NE(message.find("run again"), std::string::npos) << message;
  ExpectEndsAsIfNothingHad("worker");
}

TEST_F(Resumed, TheTablesDoNotDependOnTheNumberOfProcesses) {
  for (const int jobs : {2, 3}) ExpectEndsAsIfNothingHad(fmt::format("jobs-{}", jobs), jobs);
}

}  // namespace
}  // namespace consilium::extraction
