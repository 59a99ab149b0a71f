#include "federation/round.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/federation/federation_keys.h"

namespace consilium::federation {
namespace {

constexpr std::uint64_t kSumBytes = 8;
const std::set<std::string> kFour = {"A", "B", "C", "D"};

Binding TheBinding() { return TestBinding(TestRoster({"A", "B", "C", "D"})); }

Opened Opening(std::set<std::string> reporting = {}) {
  return {TheBinding(), kFour, std::move(reporting), kSumBytes, 0, 1'000};
}

AnswerArrived Answer(const std::string& site, std::int64_t now_ms,
                     const std::string& content = "x") {
  Receipt receipt;
  receipt.binding = TheBinding();
  receipt.site = site;
  receipt.answer = Sha256(site + content);
  receipt.answer_bytes = kSumBytes;
  return {receipt, now_ms};
}

template <typename T>
std::vector<T> Only(const std::vector<Action>& actions) {
  std::vector<T> found;
  for (const Action& action : actions) {
    if (const auto* one = std::get_if<T>(&action)) found.push_back(*one);
  }
  return found;
}

Round Open(QuorumContract contract = {}, std::set<std::string> reporting = {}) {
  Round round(std::move(contract), 10'000);
  const auto asked = Only<Remind>(round.On(Opening(std::move(reporting))));
  EXPECT_EQ(asked.size(), round.Waits(1'000).size());
  return round;
}

QuorumContract RestartContract() { return {{"A"}, 3, 1'000, 60'000, QuorumThen::kRestartWithout}; }

TEST(Round, PublishesOnceAfterTheLogHasTheTotalOfAll) {
  Round round = Open();
  EXPECT_EQ(Only<Acknowledge>(round.On(Answer("B", 1'001))).size(), 1U);
  EXPECT_TRUE(round.On(TotalLogged{}).empty());  // nothing was appended yet
  (void)round.On(Answer("A", 1'002));
  (void)round.On(Answer("D", 1'003));
  const auto last = round.On(Answer("C", 1'004));
  ASSERT_EQ(Only<AppendTotal>(last).size(), 1U);
  EXPECT_EQ(Only<AppendTotal>(last)[0].summed, kFour);
  EXPECT_TRUE(Only<Publish>(last).empty());
  EXPECT_EQ(round.Waits(1'010).at(0).owner, "coordinator disk");
  EXPECT_EQ(Only<Publish>(round.On(TotalLogged{})).size(), 1U);
  EXPECT_TRUE(round.On(TotalLogged{}).empty());
  EXPECT_TRUE(round.Waits(1'010).empty());
  EXPECT_TRUE(round.On(Tick{10'000'000'000}).empty());
}

TEST(Round, AResendIsAcknowledgedInEveryPhaseAndCountsOnce) {
  Round round = Open();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Only<Acknowledge>(round.On(Answer("A", 2'000))).size(), 1U);
  for (const std::string site : {"B", "C", "D"}) (void)round.On(Answer(site, 2'000));
  const auto while_logging = round.On(Answer("A", 2'000));
  EXPECT_EQ(Only<Acknowledge>(while_logging).size(), 1U);
  EXPECT_EQ(while_logging.size(), 1U);
  (void)round.On(TotalLogged{});
  EXPECT_EQ(round.On(Answer("A", 2'000)).size(), 1U);
}

TEST(Round, AnotherAnswerOfTheSameSiteIsAConflictAndTheFirstStays) {
  Round round = Open();
  (void)round.On(Answer("A", 2'000, "first"));
  const auto conflict = Only<Reject>(round.On(Answer("A", 2'001, "second")));
  ASSERT_EQ(conflict.size(), 1U);
  EXPECT_EQ(conflict[0].code, ErrorCode::kAlreadyExists);
  EXPECT_NE(conflict[0].reason.find("site 'A'"), std::string::npos);
  EXPECT_EQ(round.receipts().at("A").answer, Sha256("Afirst"));
}

TEST(Round, TheSameWordsWithOtherReleasesOrAnotherTagAreAConflictToo) {
  Round round = Open();
  (void)round.On(Answer("A", 2'000));
  for (const bool releases : {true, false}) {
    AnswerArrived event = Answer("A", 2'001);
    if (releases) event.receipt.releases.bytes[0] ^= 1;
    if (!releases) event.receipt.tag[0] ^= 1;
    const auto conflict = Only<Reject>(round.On(event));
    ASSERT_EQ(conflict.size(), 1U);
    EXPECT_EQ(conflict[0].code, ErrorCode::kAlreadyExists);
    EXPECT_NE(conflict[0].reason.find(releases ? "Releases" : "tag"), std::string::npos);
  }
}

TEST(Round, WhatDoesNotBelongHereIsRejectedByReason) {
  Round round = Open();
  const auto rejected = [&](auto change) {
    AnswerArrived event = Answer("A", 2'000);
    change(event.receipt);
    const auto rejects = Only<Reject>(round.On(event));
    return rejects.size() == 1 ? rejects[0].code : ErrorCode::kInternal;
  };
  EXPECT_EQ(rejected([](Receipt& r) { r.site = "Z"; }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(rejected([](Receipt& r) { r.binding.study = {}; }), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(rejected([](Receipt& r) { r.binding.round += 1; }), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(rejected([](Receipt& r) { r.binding.attempt -= 1; }), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(rejected([](Receipt& r) { r.binding.query = {}; }), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(rejected([](Receipt& r) { r.binding.roster = {}; }), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(rejected([](Receipt& r) { r.answer_bytes += 1; }), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(round.receipts().empty());
}

TEST(Round, SilentSitesAreRemindedAtTheirPaceAndOthersAreNot) {
  Round round = Open();
  (void)round.On(Answer("A", 2'000));
  EXPECT_TRUE(Only<Remind>(round.On(Tick{10'999})).empty());
  EXPECT_EQ(Only<Remind>(round.On(Tick{11'000})).size(), 3U);
  EXPECT_TRUE(Only<Remind>(round.On(Tick{11'001})).empty());
  EXPECT_EQ(Only<Remind>(round.On(Tick{21'000})).size(), 3U);
}

TEST(Round, ALeaverEndsTheAttemptWhichRestartsOnlyAfterTheLog) {
  Round round = Open(RestartContract());
  for (const std::string site : {"A", "B", "C"}) (void)round.On(Answer(site, 2'000));
  EXPECT_TRUE(round.On(SiteLeft{"D", "withdrew", 3'000}).empty());
  EXPECT_TRUE(Only<EndAttempt>(round.On(Tick{3'999})).empty());
  const auto ended = Only<EndAttempt>(round.On(Tick{4'000}));
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].survivors, (std::set<std::string>{"A", "B", "C"}));
  EXPECT_EQ(Only<Reject>(round.On(Answer("D", 4'001))).size(), 1U);  // too late: never a mix
  EXPECT_TRUE(round.On(TotalLogged{}).empty());
  const auto restart = Only<Restart>(round.On(AttemptEndLogged{}));
  ASSERT_EQ(restart.size(), 1U);
  EXPECT_EQ(restart[0].attempt, TheBinding().attempt + 1);
  EXPECT_EQ(restart[0].roster, ended[0].survivors);
  EXPECT_TRUE(round.On(AttemptEndLogged{}).empty());
}

TEST(Round, ALeaverWhoAnswersWithinTheGraceIsBack) {
  Round round = Open(RestartContract());
  for (const std::string site : {"A", "B", "C"}) (void)round.On(Answer(site, 2'000));
  (void)round.On(SiteLeft{"D", "withdrew", 3'000});
  EXPECT_EQ(Only<AppendTotal>(round.On(Answer("D", 3'500))).size(), 1U);
}

TEST(Round, WithoutApprovalNobodyIsLeftOut) {
  Round wait = Open();
  for (const std::string site : {"A", "B", "C"}) (void)wait.On(Answer(site, 2'000));
  (void)wait.On(SiteLeft{"D", "withdrew", 3'000});
  for (std::int64_t now = 4'000; now < 1'000'000'000; now += 50'000'000) {
    for (const Action& action : wait.On(Tick{now})) {
      EXPECT_TRUE(std::holds_alternative<Remind>(action));
    }
  }
  QuorumContract contract;
  contract.then = QuorumThen::kAbort;
  Round abort = Open(contract);
  const auto ended = Only<EndAttempt>(abort.On(SiteLeft{"D", "withdrew", 3'000}));
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_TRUE(ended[0].survivors.empty());
  EXPECT_EQ(Only<Stop>(abort.On(AttemptEndLogged{})).size(), 1U);
}

TEST(Round, AHeldOutCenterThatDoesNotAnswerIsReportedAsMissing) {
  Round round = Open(RestartContract(), {"X", "Y"});
  for (const std::string& site : kFour) (void)round.On(Answer(site, 2'000));
  AnswerArrived from_x = Answer("X", 2'000);
  from_x.receipt.answer_bytes = 0;
  (void)round.On(from_x);
  EXPECT_TRUE(Only<AppendTotal>(round.On(Tick{60'999})).empty());
  const auto closed = round.On(Tick{61'000});
  ASSERT_EQ(Only<ReportMissing>(closed).size(), 1U);
  EXPECT_EQ(Only<ReportMissing>(closed)[0].sites, std::set<std::string>{"Y"});
  ASSERT_EQ(Only<AppendTotal>(closed).size(), 1U);
  EXPECT_EQ(Only<AppendTotal>(closed)[0].summed, kFour);
  EXPECT_EQ(Only<AppendTotal>(closed)[0].reported, std::set<std::string>{"X"});
}

TEST(Round, ASteppedClockMovesNoDeadline) {
  Round round = Open(RestartContract());
  (void)round.On(Tick{31'000});
  (void)round.On(ClockStepped{900'000'000});
  EXPECT_TRUE(Only<EndAttempt>(round.On(Tick{900'029'999})).empty());
  (void)round.On(Tick{1'000});  // backwards, untold: counts as no time
  EXPECT_TRUE(Only<EndAttempt>(round.On(Tick{1'000})).empty());
  EXPECT_EQ(Only<EndAttempt>(round.On(Tick{1'001})).size(), 1U);
}

TEST(Round, EveryWaitHasAnOwnerAReasonAndACountdown) {
  Round round = Open(RestartContract(), {"X"});
  (void)round.On(Answer("A", 2'000));
  (void)round.On(SiteSeen{"B", "extracting, 41/120 cases", 9'000});
  (void)round.On(SiteLeft{"C", "withdrew", 10'000});
  const auto waits = round.Waits(11'000);
  ASSERT_EQ(waits.size(), 4U);
  EXPECT_EQ(waits[0].owner, "B");
  EXPECT_EQ(waits[0].reason, "extracting, 41/120 cases");
  EXPECT_EQ(waits[0].seen_ms_ago, 2'000);
  EXPECT_EQ(waits[0].waited_ms, 10'000);
  EXPECT_EQ(waits[0].left_ms, 50'000);
  EXPECT_FALSE(waits[0].then.empty());
  EXPECT_EQ(waits[1].reason, "left for good: withdrew");
  EXPECT_EQ(waits[2].reason, "no answer yet");
  EXPECT_FALSE(waits[2].seen_ms_ago.has_value());
  EXPECT_EQ(waits[3].owner, "X");
  EXPECT_EQ(waits[3].left_ms, 50'000);
}

}  // namespace
}  // namespace consilium::federation
