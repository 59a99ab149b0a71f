#include "federation/quorum.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace consilium::federation {
namespace {

using Kind = QuorumDecision::Kind;
const std::set<std::string> kFive = {"A", "B", "C", "D", "E"};

QuorumContract RestartContract() { return {{"A"}, 3, 1'000, 60'000, QuorumThen::kRestartWithout}; }

QuorumView View(std::set<std::string> answered, std::set<std::string> left,
                std::int64_t waited_ms) {
  QuorumView view;
  view.roster = kFive;
  view.answered = std::move(answered);
  view.left = std::move(left);
  view.training_count = 5;
  view.waited_ms = waited_ms;
  return view;
}

TEST(QuorumContract, TheDefaultAndASoundRestartAreValid) {
  EXPECT_TRUE(Validate({}, kFive, 3).has_value());
  EXPECT_TRUE(Validate(RestartContract(), kFive, 3).has_value());
}

TEST(QuorumContract, EveryContradictionIsNamed) {
  const auto expect = [](const QuorumContract& contract, const std::string& said,
                         int min_sites = 3) {
    const auto valid = Validate(contract, kFive, min_sites);
    ASSERT_FALSE(valid.has_value()) << said;
    EXPECT_EQ(valid.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(valid.error().message.find(said), std::string::npos) << valid.error().message;
  };
  const auto with = [](auto change) {
    QuorumContract contract = RestartContract();
    change(contract);
    return contract;
  };
  expect(with([](auto& c) { c.required = {"Z"}; }), "'Z' is not a training site");
  expect(with([](auto& c) { c.required = {"A", "A"}; }), "stands twice");
  expect(with([](auto& c) { c.minimum = 6; }), "minimum = 6");
  expect(with([](auto& c) { c.minimum = -1; }), "minimum = -1");
  expect(with([](auto& c) { c.minimum = 2; }), "below min_sites = 3");
  expect(with([](auto& c) { c.required = {"A", "B", "C", "D"}; }), "4 sites are required");
  expect(with([](auto& c) { c.grace_ms = -1; }), "grace = -1");
  expect(with([](auto& c) { c.deadline_ms = 0; }), "deadline = 0");
  expect(with([](auto& c) { c.grace_ms = 60'001; }), "longer than deadline");
  expect(with([](auto& c) { c.minimum = 0; }), "all 5 training sites must stay");
  expect(with([](auto& c) { c.then = QuorumThen::kAbort; }), "no effect with then = abort");
  expect(RestartContract(), "5 training sites", 6);
}

TEST(QuorumContract, WordsComeBack) {
  for (const auto then : {QuorumThen::kWait, QuorumThen::kAbort, QuorumThen::kRestartWithout}) {
    EXPECT_EQ(*ParseQuorumThen(Name(then)), then);
  }
  EXPECT_EQ(ParseQuorumThen("restart").error().code, ErrorCode::kInvalidArgument);
}

TEST(Decide, ASilentSiteIsWaitedForUntilTheDeadline) {
  const auto decision = Decide(RestartContract(), View({"A", "B", "C", "D"}, {}, 59'999));
  EXPECT_EQ(decision.kind, Kind::kWait);
  EXPECT_EQ(decision.next_ms, 1);
  const auto then = Decide(RestartContract(), View({"A", "B", "C", "D"}, {}, 60'000));
  EXPECT_EQ(then.kind, Kind::kRestartWithout);
  EXPECT_EQ(then.survivors, (std::set<std::string>{"A", "B", "C", "D"}));
}

TEST(Decide, ALeaverEndsTheAttemptAfterTheGraceAndOnlyTheLeaverGoes) {
  auto view = View({"A", "B", "C"}, {"E"}, 5'000);
  EXPECT_EQ(Decide(RestartContract(), view).kind, Kind::kWait);  // the grace has not begun
  view.since_minimum_ms = 4'000;
  view.since_leave_ms = 400;
  EXPECT_EQ(Decide(RestartContract(), view).next_ms, 600);
  view.since_leave_ms = 1'000;
  const auto decision = Decide(RestartContract(), view);
  EXPECT_EQ(decision.kind, Kind::kRestartWithout);
  EXPECT_EQ(decision.survivors, (std::set<std::string>{"A", "B", "C", "D"}));  // silent D stays
}

TEST(Decide, TheStudyEndsAtOnceWhenTheContractCannotBeKeptAnyMore) {
  EXPECT_EQ(Decide(RestartContract(), View({"B"}, {"A"}, 0)).kind, Kind::kAbort);  // required
  EXPECT_EQ(Decide(RestartContract(), View({"A"}, {"C", "D", "E"}, 0)).kind,
            Kind::kAbort);  // too few
  EXPECT_EQ(Decide(RestartContract(), View({"A", "B"}, {}, 60'000)).kind, Kind::kAbort);
}

TEST(Decide, WaitAndAbortDoWhatTheySay) {
  const QuorumContract wait{{}, 0, 0, 60'000, QuorumThen::kWait};
  const QuorumContract abort{{}, 0, 0, 60'000, QuorumThen::kAbort};
  EXPECT_EQ(Decide(wait, View({"A"}, {"B"}, 1'000'000)).kind, Kind::kWait);
  EXPECT_FALSE(Decide(wait, View({"A"}, {"B"}, 1'000'000)).next_ms.has_value());
  EXPECT_EQ(Decide(abort, View({"A"}, {}, 59'000)).next_ms, 1'000);
  EXPECT_EQ(Decide(abort, View({"A"}, {}, 60'000)).kind, Kind::kAbort);
  EXPECT_EQ(Decide(abort, View({"A"}, {"B"}, 0)).kind, Kind::kAbort);
}

TEST(Decide, AnAnswerThatArrivedCountsEvenIfItsSiteLeft) {
  EXPECT_EQ(Decide(RestartContract(), View(kFive, {"E"}, 70'000)).kind, Kind::kComplete);
}

TEST(Decide, NeverRestartsWithARosterThatTheContractForbids) {
  EXPECT_TRUE(rc::check([](std::uint32_t answered, std::uint32_t left, std::uint32_t required) {
    QuorumContract contract = RestartContract();
    contract.required.clear();
    QuorumView view = View({}, {}, *rc::gen::inRange(0, 120'000));
    int bit = 0;
    for (const std::string& site : kFive) {
      if (answered >> bit & 1U) view.answered.insert(site);
      if (left >> bit & 1U) view.left.insert(site);
      if ((required >> bit & 1U) != 0 && contract.required.size() < 3)
        contract.required.push_back(site);
      ++bit;
    }
    view.since_minimum_ms = *rc::gen::inRange(0, 2'000);
    view.since_leave_ms = *rc::gen::inRange(0, 2'000);
    const auto decision = Decide(contract, view);
    RC_ASSERT((decision.kind == Kind::kComplete) == (view.answered == kFive));
    if (decision.kind == Kind::kWait) RC_ASSERT(!decision.next_ms || *decision.next_ms > 0);
    if (decision.kind != Kind::kRestartWithout) return;
    RC_ASSERT(decision.survivors.size() >= 3U);
    RC_ASSERT(decision.survivors.size() < 5U);
    for (const std::string& site : contract.required) RC_ASSERT(decision.survivors.contains(site));
    for (const std::string& site : decision.survivors) {
      RC_ASSERT(view.answered.contains(site) || !view.left.contains(site));
    }
  }));
}

}  // namespace
}  // namespace consilium::federation
