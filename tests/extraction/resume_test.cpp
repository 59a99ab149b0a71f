// An extraction that is stopped or killed is gone on with, and ends as if nothing had happened.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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
    const engine::Grid grid{{36, 32, 22}, {0.9, 1.1, 2}};
    scratch.Write("settings.yaml",
                  "imageType: {Original: {}, Wavelet: {}}\nsetting: {binWidth: 5}\n");
    scratch.Write("mask.nii", Nifti(Ellipsoid(grid)));
    std::string list = "id,image,mask\n";
    for (int i = 0; i < kCases; ++i) {
      engine::PlacedImage image = Texture(grid);
      for (double& value : image.image.values) value *= 1 + 0.01 * i;
      scratch.Write(fmt::format("{}.nii", i), Nifti(image));
      list += fmt::format("case-{0},{0}.nii,mask.nii\n", i);
    }
    scratch.Write("cases.csv", list);
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
  // Whether so many lines came to stand in the journal; looks whenever the folder changes.
  [[nodiscard]] static bool WaitForJournal(const std::string& out, std::ptrdiff_t lines) {
    constexpr int kPatienceMs = 60'000;
    const fs::path folder = All().scratch.path() / out;
    fs::create_directories(folder);
    const int changes = ::inotify_init1(IN_CLOEXEC);
    EXPECT_GE(::inotify_add_watch(changes, folder.c_str(), IN_CREATE | IN_MODIFY), 0);
    bool came = false;
    pollfd wait{changes, POLLIN, 0};
    do {
      if (!All().scratch.Has(out + "/journal.jsonl")) continue;
      const std::string text = All().scratch.Read(out + "/journal.jsonl");
      came = std::count(text.begin(), text.end(), '\n') >= lines;
    } while (!came && ::poll(&wait, 1, kPatienceMs) == 1 && Drain(changes));
    ::close(changes);
    return came;
  }
  static bool Drain(int changes) {
    std::array<char, 4096> events{};
    return ::read(changes, events.data(), events.size()) > 0;
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
  ASSERT_TRUE(WaitForJournal("stopped", 3));
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
    ASSERT_TRUE(WaitForJournal(out, lines));
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
  ASSERT_TRUE(WaitForJournal("worker", 3));
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
