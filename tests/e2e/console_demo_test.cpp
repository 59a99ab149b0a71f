// The first thing that a stranger does: write the demo study, run it, audit it.
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/console_fixture.h"

namespace consilium::e2e {
namespace {

TEST(ConsoleDemo, WritesAStudyWhoseOwnCommandRunsAndHoldsInTheAudit) {
  const Scratch scratch;
  const Told demo = scratch.Consilium({"demo", "--out", "demo", "--json"});
  ASSERT_EQ(demo.exit_code, 0) << demo.err;
  const auto told = nlohmann::json::parse(demo.out, nullptr, false);
  ASSERT_TRUE(told.is_object()) << demo.out;
  EXPECT_EQ(told.at("event"), "generated");
  EXPECT_EQ(told.at("hospitals").size(), 5U);
  // The command as told, without the program's name.
  std::vector<std::string> words;
  std::istringstream command(told.at("command").get<std::string>());
  for (std::string word; command >> word;) words.push_back(word);
  ASSERT_GT(words.size(), 10U);
  EXPECT_EQ(words.front(), "consilium");
  words.erase(words.begin());

  const Told run = scratch.Consilium(words);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto report =
      nlohmann::json::parse(scratch.Read("demo/report/report.json"), nullptr, false);
  ASSERT_TRUE(report.is_object());
  std::size_t with_truth = 0;
  for (const auto& row : report.at("results")) {
    if (row.contains("true_external_auc") && row.at("true_external_auc").is_number()) ++with_truth;
  }
  EXPECT_GT(with_truth, 0U);
  EXPECT_NE(run.out.find("truth"), std::string::npos) << run.out;
  EXPECT_FALSE(run.err.empty());  // progress

  EXPECT_EQ(scratch.Consilium({"audit", "verify", "demo/report"}).exit_code, 0);
  const Told replayed = scratch.Consilium({"audit", "replay", "demo/report"});
  EXPECT_EQ(replayed.exit_code, 0) << replayed.err;
  EXPECT_EQ(scratch.Consilium({"report", "demo/report"}).exit_code, 0);
}

TEST(ConsoleDemo, TheSameSeedWritesTheSameFilesAndAnotherSeedOthers) {
  const Scratch scratch;
  ASSERT_EQ(scratch.Consilium({"demo", "--out", "a"}).exit_code, 0);
  ASSERT_EQ(scratch.Consilium({"demo", "--out", "b"}).exit_code, 0);
  ASSERT_EQ(scratch.Consilium({"demo", "--out", "c", "--seed", "5"}).exit_code, 0);
  std::size_t differing = 0, files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch.path() / "a")) {
    if (!entry.is_regular_file()) continue;
    const std::string name = std::filesystem::relative(entry.path(), scratch.path() / "a").string();
    ++files;
    EXPECT_EQ(scratch.Read("a/" + name), scratch.Read("b/" + name)) << name;
    differing += scratch.Read("a/" + name) != scratch.Read("c/" + name) ? 1 : 0;
  }
  EXPECT_GE(files, 11U);
  EXPECT_GE(differing, 5U);
}

}  // namespace
}  // namespace consilium::e2e
