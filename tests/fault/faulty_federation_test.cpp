// Does the protocol survive? Loss, repeats, delay, reordering, alteration, crashes, clock steps,
// lies and leavers for a minute; then the network heals.
#include "simulation/faulty_federation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace consilium::simulation {
namespace {

using Outcome = FederationReport::Outcome;
using federation::QuorumThen;

// "first:last" of the environment variable CONSILIUM_FAULT_SEEDS, or the seeds of every landing.
std::pair<std::uint64_t, std::uint64_t> Seeds() {
  const char* text = std::getenv("CONSILIUM_FAULT_SEEDS");
  if (text == nullptr) return {0, 2'000};
  char* rest = nullptr;
  const std::uint64_t first = std::strtoull(text, &rest, 10);
  return {first, std::strtoull(rest + 1, nullptr, 10)};
}

bool Mentions(const std::vector<std::string>& texts, const std::string& part) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const std::string& text) { return text.find(part) != std::string::npos; });
}

struct Tally {
  std::vector<std::string> failures;
  std::uint64_t outcomes[3] = {};
  std::uint64_t restarts = 0, crashes = 0, clock_steps = 0, messages = 0, false_questions = 0,
                refusals = 0;
};

Tally RunSeeds(std::uint64_t first, std::uint64_t last, std::uint64_t stride, const KeyRing& keys) {
  Tally tally;
  for (std::uint64_t seed = first; seed < last; seed += stride) {
    const Scenario scenario = DrawScenario(seed);
    const FederationReport report = Simulate(scenario, seed, keys);
    const std::string wrong = Judge(scenario, report);
    if (!wrong.empty()) tally.failures.push_back(fmt::format("seed {}: {}", seed, wrong));
    if (Simulate(scenario, seed, keys).trace != report.trace) {
      tally.failures.push_back(fmt::format("seed {}: its second run differs", seed));
    }
    tally.outcomes[static_cast<int>(report.outcome)] += 1;
    tally.restarts += report.attempt > 0 && report.outcome == Outcome::kPublished ? 1 : 0;
    tally.crashes += report.crashes;
    tally.clock_steps += report.clock_steps;
    tally.messages += report.messages;
    tally.false_questions += report.false_questions;
    tally.refusals += report.refusals.size();
  }
  return tally;
}

TEST(FaultyFederation, EverySeedEndsAsItsContractSaysWithTheExactSumsAndReplays) {
  const KeyRing keys;
  const auto [first, last] = Seeds();
  Tally tallies[2];
  std::thread other([&, from = first + 1, to = last] { tallies[1] = RunSeeds(from, to, 2, keys); });
  tallies[0] = RunSeeds(first, last, 2, keys);
  other.join();
  Tally all;
  for (const Tally& tally : tallies) {
    for (const std::string& failure : tally.failures) ADD_FAILURE() << failure;
    for (int i = 0; i < 3; ++i) all.outcomes[i] += tally.outcomes[i];
    all.restarts += tally.restarts;
    all.crashes += tally.crashes;
    all.clock_steps += tally.clock_steps;
    all.messages += tally.messages;
    all.false_questions += tally.false_questions;
    all.refusals += tally.refusals;
  }
  fmt::print(
      "seeds {} to {}: {} published ({} after a restart), {} stopped and {} waiting by "
      "contract; {} messages, {} crashes, {} clock steps, {} false questions, {} refusals\n",
      first, last, all.outcomes[0], all.restarts, all.outcomes[1], all.outcomes[2], all.messages,
      all.crashes, all.clock_steps, all.false_questions, all.refusals);
  // A simulation in which these never happen proves nothing.
  for (const std::uint64_t count :
       {all.outcomes[0], all.outcomes[1], all.outcomes[2], all.restarts, all.crashes,
        all.clock_steps, all.false_questions, all.refusals}) {
    EXPECT_GT(count, 0U);
  }
}

Scenario Calm() {
  Scenario scenario;
  scenario.network.heals_ms = 20'000;
  scenario.network.delay_ms_max = 1;  // nothing overtakes
  return scenario;
}

TEST(FaultyFederation, ACalmRunPublishesEveryRoundWithoutARefusal) {
  const FederationReport report = Simulate(Calm(), 1, KeyRing());
  EXPECT_EQ(Judge(Calm(), report), "");
  EXPECT_EQ(report.outcome, Outcome::kPublished);
  EXPECT_TRUE(report.refusals.empty());
}

TEST(FaultyFederation, ASiteThatAnswersTwiceIsNamed) {
  Scenario scenario = Calm();
  scenario.lie = Lie::kSiteAnswersTwice;
  const FederationReport report = Simulate(scenario, 2, KeyRing());
  EXPECT_EQ(Judge(scenario, report), "");
  EXPECT_EQ(report.outcome, Outcome::kPublished);
  EXPECT_TRUE(Mentions(report.refusals, "answer of site 'S1'"));
  EXPECT_TRUE(Mentions(report.refusals, "conflict: digest"));
}

TEST(FaultyFederation, AlteredAnswersAreNoticedByTheirReceipts) {
  Scenario scenario = Calm();
  scenario.network.alteration = 0.9;
  const FederationReport report = Simulate(scenario, 3, KeyRing());
  EXPECT_EQ(Judge(scenario, report), "");
  EXPECT_EQ(report.outcome, Outcome::kPublished);
  EXPECT_FALSE(report.refusals.empty());
}

TEST(FaultyFederation, ACoordinatorThatAsksAnewIsRefusedByNameAndRule) {
  Scenario scenario = Calm();
  scenario.lie = Lie::kCoordinatorAsksAnew;
  scenario.network = {0.3, 0, 0, 1, 3'000, 60'000};
  std::vector<std::string> refusals;
  const KeyRing keys;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const FederationReport report = Simulate(scenario, seed, keys);
    EXPECT_EQ(Judge(scenario, report), "") << "seed " << seed;
    refusals.insert(refusals.end(), report.refusals.begin(), report.refusals.end());
  }
  for (const std::string part :
       {"answered already, for another query", "answered already, for another roster",
        "does not follow from the study", "min_sites = 3", "a round has one total", "site 'S0'"}) {
    EXPECT_TRUE(Mentions(refusals, part)) << part;
  }
}

TEST(FaultyFederation, ACoordinatorThatTellsOneSiteAnotherTotalIsNotBelievedByIt) {
  Scenario scenario = Calm();
  scenario.lie = Lie::kCoordinatorEquivocates;
  const FederationReport report = Simulate(scenario, 4, KeyRing());
  EXPECT_TRUE(report.violations.empty());
  EXPECT_TRUE(Mentions(report.refusals, "site 'S1', round 0"));
  EXPECT_TRUE(Mentions(report.refusals, "the total is not the sum of what the 4 sites signed"));
  EXPECT_FALSE(Mentions(report.refusals, "site 'S0'"));
  // It does not hold round 0; the true total reaches it when it says so.
  EXPECT_EQ(report.outcome, Outcome::kPublished);
}

TEST(FaultyFederation, ACoordinatorThatForgesATotalIsBelievedByNobody) {
  Scenario scenario = Calm();
  scenario.lie = Lie::kCoordinatorForges;
  const FederationReport report = Simulate(scenario, 6, KeyRing());
  EXPECT_TRUE(report.violations.empty());
  EXPECT_EQ(report.outcome, Outcome::kWaiting);
  EXPECT_EQ(report.published, 2U);  // the first, and the forged one, from which nothing follows
  EXPECT_EQ(report.waits, (std::set<std::string>{"S0", "S1", "S2", "S3"}));
  for (const std::string site : {"S0", "S1", "S2", "S3"})
    EXPECT_TRUE(Mentions(report.refusals, "site '" + site + "', round 1, attempt 0: the total is"))
        << site;
}

TEST(FaultyFederation, ALeaverIsWaitedForLeftOutOrEndsTheStudyAsTheContractSays) {
  Scenario scenario = Calm();
  scenario.leaver = "S2";
  scenario.leaves_ms = 0;
  scenario.leave_is_announced = true;
  const KeyRing keys;
  scenario.quorum = {{}, 0, 5'000, 300'000, QuorumThen::kWait};
  EXPECT_EQ(Simulate(scenario, 5, keys).waits, std::set<std::string>{"S2"});
  scenario.quorum = {{}, 0, 5'000, 300'000, QuorumThen::kAbort};
  EXPECT_EQ(Simulate(scenario, 5, keys).outcome, Outcome::kStopped);
  scenario.quorum = {{"S0"}, 3, 5'000, 300'000, QuorumThen::kRestartWithout};
  const FederationReport without = Simulate(scenario, 5, keys);
  EXPECT_EQ(Judge(scenario, without), "");
  EXPECT_EQ(without.outcome, Outcome::kPublished);
  EXPECT_EQ(without.attempt, 1U);
  EXPECT_EQ(without.roster, (std::set<std::string>{"S0", "S1", "S3"}));
  EXPECT_LT(without.ended_ms, 30'000);  // announcement and grace, not the deadline
}

}  // namespace
}  // namespace consilium::simulation
