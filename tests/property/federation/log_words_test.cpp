// docs/formats/log.md says which words a total is made of, for who reads a log without the engine.
// Its table is held to what a whole study asks.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <regex>
#include <set>

#include "study/program.h"
#include "tests/support/small_study.h"

namespace consilium {
namespace {

// "name bits/fraction" of every block, in order, by step.
using Words = std::map<std::string, std::vector<std::string>>;

Words DocumentedWords() {
  const std::string path = CONSILIUM_SOURCE_DIR "/docs/formats/log.md";
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  static const std::regex kRow(R"(\| `([a-z]+\.[a-z]+)` \| (.+) \|)");
  static const std::regex kBlock(R"(`([a-z_]+)` ([0-9]+/[0-9]+))");
  Words words;
  std::smatch row;
  for (std::string line; std::getline(file, line);) {
    if (!std::regex_match(line, row, kRow)) continue;
    const std::string blocks = row[2];
    for (std::sregex_iterator at(blocks.begin(), blocks.end(), kBlock), end; at != end; ++at)
      words[row[1]].push_back((*at)[1].str() + " " + (*at)[2].str());
  }
  return words;
}

// A log of a study with every step, replayed: the layout of each question that sums.
void ForEachQuestion(
    const std::function<void(const std::string& step, const std::vector<std::string>&)>& see) {
  const testing::SmallFederation federation = testing::MustAssemble({}, testing::SmallHospitals());
  const Bytes log = testing::Joined(testing::MustRun(federation).log);
  const study::Engine engine = study::MakeEngine();
  study::StudyReplay replay(federation.study, engine);
  federation::LogReader reader(log);
  ASSERT_TRUE(reader.Header().has_value());
  while (!reader.AtEnd()) {
    for (std::size_t i = 0; i < replay.queries().size(); ++i) {
      if (replay.layouts()[i].empty()) continue;
      std::vector<std::string> blocks;
      for (const federation::BlockLayout& block : replay.layouts()[i]) {
        blocks.push_back(
            fmt::format("{} {}/{}", block.name, block.format.bits, block.format.fraction_bits));
      }
      see(replay.queries()[i].step, blocks);
    }
    const auto entry = reader.Next();
    ASSERT_TRUE(entry.has_value());
    ASSERT_TRUE(replay.Deliver(entry->total, entry->releases).has_value());
  }
  EXPECT_TRUE(replay.done());
}

TEST(LogWords, TheDocumentNamesTheBlocksOfEveryStepInTheirOrderAndNoOthers) {
  const Words documented = DocumentedWords();
  std::map<std::string, std::set<std::string>> asked;
  ForEachQuestion([&](const std::string& step, const std::vector<std::string>& blocks) {
    const auto row = documented.find(step);
    ASSERT_NE(row, documented.end()) << step;
    auto at = row->second.begin();  // some blocks are not asked every time
    for (const std::string& block : blocks) {
      at = std::find(at, row->second.end(), block);
      ASSERT_NE(at, row->second.end()) << step << ": " << block;
      ++at;
      asked[step].insert(block);
    }
  });
  EXPECT_EQ(asked.size(), documented.size());
  for (const auto& [step, blocks] : documented) {
    EXPECT_EQ(asked[step], std::set<std::string>(blocks.begin(), blocks.end())) << step;
  }
}

}  // namespace
}  // namespace consilium
