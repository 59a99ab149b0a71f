// The ledger is the gate's whole memory: read again, it decides the same.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>

#include "base/rng.h"
#include "tests/support/ledger_disk.h"
#include "tests/unit/site_agent_gate/gate_fixture.h"

namespace consilium::site_agent {
namespace {

constexpr SiteSettings kSettings{.min_sites = 3, .min_cell = 5, .allow_public_data = true};

// One move of somebody who asks and cheats at random.
struct Move {
  int kind = 0;
  std::string study;
  RoundFacts facts;
  federation::Query query;
  MyRows rows;
  std::uint8_t fill = 0;
  bool masked = true;
};

Move RandomMove(Rng& rng) {
  static const std::vector<std::vector<std::string>> kGroups = {{"A", "B", "C", "D", "E"},
                                                                {"A", "B", "C", "D"},
                                                                {"A", "C", "D", "E"},
                                                                {"B", "C", "D"},
                                                                {"A", "B"}};
  Move move;
  move.kind = rng.Below(80) == 0 ? 12 : static_cast<int>(rng.Below(12));
  move.study = std::string(1, static_cast<char>('s' + rng.Below(3)));
  const auto& roster = kGroups[rng.Below(8) == 0 ? 1 + rng.Below(2) : 0];
  move.facts =
      Round(move.study, rng.Below(6), static_cast<std::uint32_t>(rng.Below(6) / 5), roster);
  move.facts.derived = rng.Below(20) != 0;
  const auto& members = kGroups[rng.Below(3) == 0 ? rng.Below(5) : 0];
  std::vector<Fact> facts;
  if (rng.Below(3) == 0) {
    facts = {{"columns", static_cast<double>(10 + rng.Below(60))},
             {"rows", 200},
             {"null", static_cast<double>(rng.Below(2))},
             {"point", static_cast<double>(rng.Below(3))}};
  }
  const int fold = static_cast<int>(rng.Below(3));
  const bool release = move.kind == 10;
  if (release) facts = {{"scores", 1}, {"threshold", static_cast<double>(rng.Below(2))}};
  move.query = Ask(rng.Below(2) == 0 ? "f" : "g", release ? std::vector<std::string>{"A"} : members,
                   fold, facts, release ? "release" : "sum");
  const RowSet all = Rows(0, 40 + 2 * static_cast<std::uint32_t>(rng.Below(5)));
  const bool member = move.query.scope.members[0] == "A";
  const RowSet left_out = fold == 0 ? RowSet{}
                                    : Rows(10 * static_cast<std::uint32_t>(fold),
                                           10 * static_cast<std::uint32_t>(fold) + 7);
  move.rows = member ? Mine(Without(all, left_out), left_out) : Mine({});
  move.fill = static_cast<std::uint8_t>(rng.Below(6) == 0 ? 1 : 0);
  move.masked = rng.Below(20) != 0;
  return move;
}

// What the gate decided, as text.
std::string Play(Gate& gate, const Move& move) {
  if (move.kind == 12) {
    return gate.EndStudy(move.facts.study, "finished") ? "study over" : "cannot be written";
  }
  if (move.kind == 11) {
    const auto ended = gate.EndAttempt(move.facts.study, move.facts.attempt, "somebody left");
    return ended ? "ended" : std::string(Name(ended.error().rule));
  }
  if (move.kind == 10) {
    const federation::Step step = ReleaseStep();
    const auto given = gate.AdmitRelease(move.facts, move.query, &step, move.rows, {15, 15}, {});
    return given ? "given" : std::string(Name(given.error().rule));
  }
  return Outcome(gate, move.facts, move.query, move.rows, Words(move.fill), move.masked);
}

void ApproveThree(Gate& gate) {
  Approval approval = ApprovalOfAll();
  approval.restart_without = true;
  study::Study first = StudyNamed("s");
  first.quorum.then = "restart-without";
  ASSERT_TRUE(gate.ApproveStudy(first, approval).has_value());
  study::Study second = StudyNamed("t");
  second.design = study::Design::kLeaveOneCenterOut;
  approval.leave_one_center_out = true;
  ASSERT_TRUE(gate.ApproveStudy(second, approval).has_value());
  study::Study third = StudyNamed("u");
  third.policy = study::Policy::kPublicData;
  third.privacy.min_sites = 2;
  approval.public_data = true;
  ASSERT_TRUE(gate.ApproveStudy(third, approval).has_value());
}

// After every move a fresh gate, built from the ledger's bytes alone, decides the next move alike;
// and the ledgers stay equal byte for byte.
TEST(GateReplay, AGateFromTheLedgersBytesDecidesTheSameAtEveryPoint) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Rng rng(seed, "gate replay");
    testing::LedgerDisk disk;
    Ledger live("A", &disk);
    Gate gate(kSettings, live);
    ApproveThree(gate);
    for (int i = 0; i < 40; ++i) {
      testing::LedgerDisk copy = disk;
      auto reopened = Ledger::Open("A", copy, live.head());
      ASSERT_TRUE(reopened.has_value()) << reopened.error().message;
      Gate replayed(kSettings, *reopened);
      const Move move = RandomMove(rng);
      const std::string decision = Play(gate, move);
      ++seen[decision];
      ASSERT_EQ(Play(replayed, move), decision) << "seed " << seed << ", move " << i;
      ASSERT_EQ(reopened->head(), live.head()) << "seed " << seed << ", move " << i;
    }
  }
  // The moves are worth something only if they reach many rules.
  for (const char* decision :
       {"answered", "given", "ended", "study over", "GATE_NOT_DERIVED", "GATE_MIN_SITES",
        "GATE_ROSTER_CHANGED", "GATE_REASKED", "GATE_ATTEMPT_MIXED", "GATE_RESTART_NOT_APPROVED",
        "GATE_ROW_SETS_DIFFER", "GATE_CURVATURE_SHARED_POINT", "GATE_CURVATURE_NULL_POINT",
        "GATE_CURVATURE_TOO_WIDE", "GATE_NO_CONSENT", "GATE_SECOND_SCORING", "GATE_ANSWER_CHANGED",
        "GATE_NOT_MASKED"}) {
    EXPECT_GT(seen[decision], 0) << decision;
  }
}

// By another road: whatever was answered in private studies, no two row sets of the ledger differ
// by 1 to 4 rows.
TEST(GateReplay, TheLedgerHoldsNoTwoRowSetsThatDifferByAFewRows) {
  EXPECT_TRUE(rc::check("row sets", [](std::uint32_t seed) {
    Rng rng(seed, "gate rows");
    Ledger ledger("A");
    Gate gate(kSettings, ledger);
    RC_ASSERT(gate.ApproveStudy(StudyNamed("s"), ApprovalOfAll()).has_value());
    RC_ASSERT(gate.ApproveStudy(StudyNamed("t"), ApprovalOfAll()).has_value());
    int answered = 0;
    for (int i = 0; i < 60; ++i) {
      RowSet rows;
      const auto from = static_cast<std::uint32_t>(rng.Below(8));
      for (std::uint32_t row = from; row < from + 12 + rng.Below(6); ++row) rows.push_back(row);
      if (Outcome(gate, Round(rng.Below(2) == 0 ? "s" : "t", 0),
                  Ask("f" + std::to_string(i), FiveSites()), Mine(rows)) == "answered") {
        ++answered;
      }
    }
    RC_ASSERT(answered > 0);
    std::vector<RowSet> sets = {{}};
    for (const LedgerRecord& record : ledger.records()) {
      for (const Bytes& encoded : record.new_row_sets) sets.push_back(*DecodeRowSet(encoded));
    }
    for (const RowSet& a : sets) {
      for (const RowSet& b : sets)
        RC_ASSERT(DifferenceCount(a, b) == 0 || DifferenceCount(a, b) >= 5);
    }
  }));
}

TEST(GateReplay, ALedgerWithoutItsLastRecordForgetsAndTheNotedHeadTells) {
  Ledger live("A");
  Gate gate(kSettings, live);
  ASSERT_TRUE(gate.ApproveStudy(StudyNamed("s"), ApprovalOfAll()).has_value());
  ASSERT_EQ(Outcome(gate, Round("s", 0), Ask("f", FiveSites()), Mine(Rows(0, 60))), "answered");
  testing::LedgerDisk first;
  first.bytes = EncodeRecord(live.records()[0]);
  EXPECT_TRUE(Ledger::Open("A", first).has_value());
  EXPECT_FALSE(Ledger::Open("A", first, live.head()).has_value());
}

}  // namespace
}  // namespace consilium::site_agent
