#include "federation/site_rounds.h"

#include <gtest/gtest.h>

#include "tests/unit/federation/federation_keys.h"

namespace consilium::federation {
namespace {

using Reply = SiteRounds::Reply;
const std::vector<std::string> kFive = {"A", "B", "C", "D", "E"};
const std::vector<std::string> kFour = {"A", "B", "C", "D"};

SiteRules Rules() {
  SiteRules rules;
  rules.site = "B";
  rules.study = Sha256("study");
  rules.roster = TestRoster(kFive);
  rules.quorum = {{"A"}, 3, 1'000, 60'000, QuorumThen::kRestartWithout};
  return rules;
}

Asked Ask(std::uint32_t attempt, std::uint64_t round, const std::vector<std::string>& sites,
          const std::string& query) {
  return {{Sha256("study"), round, attempt, Sha256(query), DigestOf(TestRoster(sites))},
          {sites.begin(), sites.end()},
          Sha256(query)};
}

ErrorCode Refused(const SiteRounds& rounds, const Asked& asked) {
  const auto reply = rounds.Check(asked);
  if (reply) return ErrorCode::kInternal;
  EXPECT_NE(reply.error().message.find("site 'B', round"), std::string::npos);
  return reply.error().code;
}

TEST(SiteRounds, AnswersOnceAndResendsTheSame) {
  SiteRounds rounds(Rules());
  const Asked asked = Ask(0, 0, kFive, "q0");
  EXPECT_EQ(*rounds.Check(asked), Reply::kAnswer);
  EXPECT_EQ(*rounds.Check(asked), Reply::kAnswer);  // checking changes nothing
  rounds.Record(asked);
  EXPECT_EQ(*rounds.Check(asked), Reply::kResend);
  EXPECT_EQ(Refused(rounds, Ask(0, 0, kFive, "other")), ErrorCode::kAlreadyExists);
  rounds.Accept(asked.binding, Sha256("total"));
  EXPECT_EQ(*rounds.Check(asked), Reply::kResend);
  EXPECT_EQ(*rounds.Check(Ask(0, 1, kFive, "q1")), Reply::kAnswer);
}

TEST(SiteRounds, RefusesAQueryThatDoesNotFollow) {
  const SiteRounds rounds(Rules());
  Asked asked = Ask(0, 0, kFive, "crafted");
  asked.expected_query = Sha256("q0");
  EXPECT_EQ(Refused(rounds, asked), ErrorCode::kPermissionDenied);
}

TEST(SiteRounds, RefusesRostersThatTheStudyAndItsContractDoNotAllow) {
  SiteRounds rounds(Rules());
  EXPECT_EQ(Refused(rounds, Ask(0, 0, kFour, "q")), ErrorCode::kPermissionDenied);
  EXPECT_EQ(Refused(rounds, Ask(1, 0, {"A", "B"}, "q")), ErrorCode::kPermissionDenied);
  EXPECT_EQ(Refused(rounds, Ask(1, 0, {"B", "C", "D"}, "q")),
            ErrorCode::kPermissionDenied);  // no A
  EXPECT_EQ(Refused(rounds, Ask(1, 0, {"A", "C", "D"}, "q")),
            ErrorCode::kPermissionDenied);                                          // no me
  EXPECT_EQ(Refused(rounds, Ask(1, 0, kFive, "q")), ErrorCode::kPermissionDenied);  // not smaller
  EXPECT_EQ(Refused(rounds, Ask(1, 0, {"A", "B", "Z"}, "q")), ErrorCode::kPermissionDenied);
  Asked keys = Ask(0, 0, kFive, "q");
  keys.binding.roster = Sha256("a roster with the coordinator's keys");
  EXPECT_EQ(Refused(rounds, keys), ErrorCode::kPermissionDenied);
  Asked study = Ask(0, 0, kFive, "q");
  study.binding.study = {};
  EXPECT_EQ(Refused(rounds, study), ErrorCode::kPermissionDenied);
  EXPECT_EQ(*rounds.Check(Ask(1, 0, kFour, "q")), Reply::kAnswer);

  SiteRules waits = Rules();
  waits.quorum = {};
  EXPECT_EQ(Refused(SiteRounds(waits), Ask(1, 0, kFour, "q")), ErrorCode::kPermissionDenied);
}

TEST(SiteRounds, OneQueryIsNeverAnsweredUnderTwoRosters) {
  SiteRounds rounds(Rules());
  rounds.Record(Ask(0, 0, kFive, "q0"));
  EXPECT_EQ(Refused(rounds, Ask(1, 0, kFour, "q0")), ErrorCode::kPermissionDenied);
  EXPECT_EQ(Refused(rounds, Ask(0, 0, kFour, "q0")), ErrorCode::kAlreadyExists);
  const Asked next = Ask(1, 0, kFour, "q0 of four");
  rounds.Record(next);
  EXPECT_EQ(Refused(rounds, Ask(0, 1, kFive, "q1")), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(Refused(rounds, Ask(1, 1, {"A", "B", "C"}, "q1")), ErrorCode::kPermissionDenied);
}

TEST(SiteRounds, TakesOneTotalARoundInOrderAndOnlyOfWhatItAnswered) {
  SiteRounds rounds(Rules());
  const Asked q0 = Ask(0, 0, kFive, "q0"), q1 = Ask(0, 1, kFive, "q1");
  const auto code = [&](const Binding& binding, const std::string& total) {
    const auto taken = rounds.Check(binding, Sha256(total));
    return taken ? ErrorCode::kInternal : taken.error().code;
  };
  EXPECT_EQ(code(q0.binding, "t"), ErrorCode::kPermissionDenied);  // not answered
  EXPECT_EQ(Refused(rounds, q1), ErrorCode::kFailedPrecondition);  // a total is missing
  rounds.Record(q0);
  Binding other = q0.binding;
  other.query = {};
  EXPECT_EQ(code(other, "t"), ErrorCode::kPermissionDenied);
  EXPECT_TRUE(*rounds.Check(q0.binding, Sha256("t")));
  rounds.Accept(q0.binding, Sha256("t"));
  EXPECT_FALSE(*rounds.Check(q0.binding, Sha256("t")));
  EXPECT_EQ(code(q0.binding, "another"), ErrorCode::kAlreadyExists);
  EXPECT_EQ(rounds.next_round(), 1U);
}

TEST(SiteRounds, AHeldOutCenterFollowsTotalsWithoutAnswering) {
  SiteRules rules = Rules();
  rules.site = "X";
  SiteRounds rounds(rules);
  rounds.Accept(Ask(0, 0, kFive, "q0").binding, Sha256("t0"));
  EXPECT_EQ(*rounds.Check(Ask(0, 1, kFive, "score")), Reply::kAnswer);
  EXPECT_FALSE(rounds.Check(Ask(0, 5, kFive, "q5").binding, Sha256("t5")).has_value());
}

}  // namespace
}  // namespace consilium::federation
