#include "federation/masks.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>

#include "base/rng.h"
#include "federation/fixed_point.h"
#include "tests/unit/federation/federation_keys.h"

namespace consilium::federation {
namespace {

const std::vector<std::string> kSites = {"Ahus",  "Bern",  "Cork", "Delft",
                                         "Espoo", "Fulda", "Gent", "Hull"};

// Odd sizes, so that words of every width start away from pieces and cipher blocks.
std::vector<BlockLayout> OddLayout() {
  return {{"a", 3, 1, {32, 8}},
          {"b", 5, 7, {64, 38}},
          {"c", 1, 0, {64, 1}},
          {"d", 3, 3, {128, 70}},
          {"e", 1, 1, {32, 8}}};
}

Bytes RandomWords(const std::vector<BlockLayout>& layout, Rng& rng) {
  Bytes words = ZeroWords(layout);
  for (auto& byte : words) byte = static_cast<std::uint8_t>(rng.Next());
  return words;
}

Masker MaskerOf(const std::string& site, const Roster& roster) {
  auto masker = Masker::Create(site, TestAgreementKey(site), roster);
  EXPECT_TRUE(masker.has_value()) << (masker ? "" : masker.error().message);
  return std::move(*masker);
}

Bytes Masked(const std::string& site, const Roster& roster, const Binding& binding,
             const std::vector<BlockLayout>& layout, Bytes words) {
  EXPECT_TRUE(MaskerOf(site, roster).Apply(binding, layout, words).has_value());
  return words;
}

TEST(Masks, CancelToTheBitForThreeToEightSitesInAnyOrder) {
  const auto layout = OddLayout();
  for (std::size_t count = 3; count <= 8; ++count) {
    const Roster roster = TestRoster({kSites.begin(), kSites.begin() + static_cast<long>(count)});
    const Binding binding = TestBinding(roster);
    EXPECT_TRUE(rc::check([&](std::uint64_t seed) {
      Rng rng(seed, "masks");
      Bytes plain = ZeroWords(layout), masked = ZeroWords(layout);
      std::vector<Bytes> answers;
      for (const auto& [site, keys] : roster) {
        const Bytes words = RandomWords(layout, rng);
        AddWords(layout, words, plain);
        answers.push_back(Masked(site, roster, binding, layout, words));
        RC_ASSERT(answers.back() != words);
      }
      rng.Shuffle(answers);
      for (const Bytes& words : answers) AddWords(layout, words, masked);
      RC_ASSERT(masked == plain);
    }));
  }
}

TEST(Masks, CancelAcrossPiecesOfTheKeystream) {
  const std::vector<BlockLayout> layout = {
      {"a", 5001, 1, {32, 8}}, {"b", 9001, 1, {64, 38}}, {"c", 3001, 1, {128, 70}}};
  const Roster roster = TestRoster({"Ahus", "Bern", "Cork"});
  Bytes total = ZeroWords(layout);
  for (const auto& [site, keys] : roster) {
    AddWords(layout, Masked(site, roster, TestBinding(roster), layout, ZeroWords(layout)), total);
  }
  EXPECT_EQ(total, ZeroWords(layout));
}

// Chi-square over byte values of masked zeros: 255 degrees of freedom, mean 255, standard deviation
// 22.6. 400 is 6.4 of them away; the keys are fixed, so the outcome is too.
TEST(Masks, OneMaskedAnswerLooksUniform) {
  const std::vector<BlockLayout> layout = {{"x", 1 << 14, 1, {64, 38}}};
  const Roster roster = TestRoster({"Ahus", "Bern", "Cork"});
  for (const auto& [site, keys] : roster) {
    const Bytes words = Masked(site, roster, TestBinding(roster), layout, ZeroWords(layout));
    std::array<double, 256> counts{};
    for (const std::uint8_t byte : words) counts[byte] += 1;
    const double expected = static_cast<double>(words.size()) / 256;
    double chi_square = 0;
    for (const double count : counts) {
      chi_square += (count - expected) * (count - expected) / expected;
    }
    EXPECT_LT(chi_square, 400) << site;
    EXPECT_GT(chi_square, 140) << site;
  }
}

TEST(Masks, EveryFieldOfTheBindingChangesTheStream) {
  const std::vector<BlockLayout> layout = {{"x", 4, 1, {64, 38}}};
  const Roster roster = TestRoster({"Ahus", "Bern", "Cork"});
  std::vector<Binding> bindings(6, TestBinding(roster));
  bindings[1].study = Sha256("another study");
  bindings[2].round += 1;
  bindings[3].attempt += 1;
  bindings[4].query = Sha256("another query");
  bindings[5].roster = Sha256("another roster");
  std::vector<Bytes> streams;
  for (const Binding& binding : bindings) {
    streams.push_back(Masked("Ahus", roster, binding, layout, ZeroWords(layout)));
  }
  std::sort(streams.begin(), streams.end());
  EXPECT_EQ(std::unique(streams.begin(), streams.end()), streams.end());
}

TEST(Masks, AMissingSiteOrAnotherRosterLeavesNoise) {
  const std::vector<BlockLayout> layout = {{"x", 4, 1, {64, 38}}};
  const Roster roster = TestRoster({"Ahus", "Bern", "Cork", "Delft"});
  const Roster smaller = TestRoster({"Ahus", "Bern", "Cork"});
  const auto sum_of = [&](const Roster& named_by_bern) {
    Bytes total = ZeroWords(layout);
    for (const auto& [site, keys] : smaller) {
      const Roster& used = site == "Bern" ? named_by_bern : smaller;
      AddWords(layout, Masked(site, used, TestBinding(used), layout, ZeroWords(layout)), total);
    }
    return total;
  };
  EXPECT_EQ(sum_of(smaller), ZeroWords(layout));
  const Bytes noise = sum_of(roster);
  for (std::size_t word = 0; word < 4; ++word) {
    EXPECT_TRUE(std::any_of(noise.begin() + static_cast<long>(word) * 8,
                            noise.begin() + static_cast<long>(word) * 8 + 8,
                            [](std::uint8_t byte) { return byte != 0; }));
  }
}

TEST(Masks, AMaskerOfASmallerRosterIsTheOneMadeForIt) {
  const std::vector<BlockLayout> layout = {{"x", 4, 1, {64, 38}}};
  const Roster roster = TestRoster({"Ahus", "Bern", "Cork", "Delft"});
  const std::vector<std::string> names = {"Ahus", "Bern", "Cork"};
  const Roster smaller = TestRoster(names);
  const auto restricted = MaskerOf("Bern", roster).For(names);
  ASSERT_TRUE(restricted.has_value());
  EXPECT_EQ(restricted->site_count(), 3U);
  Bytes words = ZeroWords(layout);
  ASSERT_TRUE(restricted->Apply(TestBinding(smaller), layout, words).has_value());
  EXPECT_EQ(words, Masked("Bern", smaller, TestBinding(smaller), layout, ZeroWords(layout)));
  const std::vector<std::string> unknown = {"Bern", "Zug"}, alone = {"Bern"};
  EXPECT_EQ(MaskerOf("Bern", roster).For(unknown).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(MaskerOf("Bern", roster).For(alone).error().code, ErrorCode::kInvalidArgument);
}

TEST(Masks, WrongKeysAndSizesAreRefusedByName) {
  Roster roster = TestRoster({"Ahus", "Bern"});
  Bytes words(7);
  EXPECT_EQ(MaskerOf("Ahus", roster)
                .Apply(TestBinding(roster), {{"x", 1, 1, {64, 38}}}, words)
                .error()
                .code,
            ErrorCode::kDataLoss);
  const AgreementKey key = TestAgreementKey("Ahus");
  roster["Bern"].agreement = {};
  const auto weak = Masker::Create("Ahus", key, roster);
  EXPECT_EQ(weak.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(weak.error().message.find("'Bern'"), std::string::npos);
  const auto not_mine = Masker::Create("Bern", key, TestRoster({"Ahus", "Bern"}));
  EXPECT_EQ(not_mine.error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(Masker::Create("Ahus", key, TestRoster({"Ahus"})).has_value());
}

}  // namespace
}  // namespace consilium::federation
