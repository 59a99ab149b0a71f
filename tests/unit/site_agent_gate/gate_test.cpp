// Each disclosure rule, and somebody who tries to break it.
#include "site_agent/gate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/support/ledger_disk.h"
#include "tests/unit/site_agent_gate/gate_fixture.h"

namespace consilium::site_agent {
namespace {

class GateAttack : public ::testing::Test {
 protected:
  GateAttack() : ledger_("A"), gate_({}, ledger_) {
    EXPECT_EQ(Approve(StudyNamed("s")), "approved");
  }

  std::string Approve(const study::Study& study, const Approval& approval = ApprovalOfAll()) {
    const auto approved = gate_.ApproveStudy(study, approval);
    return approved ? "approved" : std::string(Name(approved.error().rule));
  }
  // A study of its own, with these terms.
  void ApproveAs(const std::string& name, void (*change)(study::Study&, Approval&)) {
    study::Study study = StudyNamed(name);
    Approval approval = ApprovalOfAll();
    change(study, approval);
    ASSERT_EQ(Approve(study, approval), "approved");
  }

  Ledger ledger_;
  Gate gate_;
  const std::vector<std::string> all_ = FiveSites();
  const RowSet rows_ = Rows(0, 60);
};

TEST_F(GateAttack, AnHonestQuestionIsAnsweredWithTheSameBytesAndOnePlainSentence) {
  const federation::Step step = SumStep();
  const Bytes words = Words();
  const auto sent =
      gate_.AdmitAnswer(Round("s", 12), Ask("lasso, combat, held out E", {"A", "B", "C", "D"}, 3),
                        &step, Mine(Rows(0, 50), Rows(50, 60)), words, true);
  ASSERT_TRUE(sent.has_value()) << sent.error().message;
  EXPECT_EQ(Bytes(sent->begin(), sent->end()), Words());
  EXPECT_EQ(
      ledger_.last().sentence,
      "Round 12: sent 4 masked sums over my 50 training rows and 10 left-out rows for the fit "
      "'lasso, combat, "
      "held out E', without fold 3 (sum); the coordinator sees only the total over 4 hospitals.");
  EXPECT_TRUE(VerifyLedger("A", ledger_.records()).has_value());
}

TEST_F(GateAttack, EveryRuleHasAStableNameAndAdvice) {
  std::set<std::string_view> names;
  for (int i = 0; i < kGateRuleCount; ++i) {
    const auto rule = static_cast<GateRule>(i);
    EXPECT_TRUE(Name(rule).starts_with("GATE_"));
    EXPECT_GT(Advice(rule).size(), 20u) << Name(rule);
    EXPECT_TRUE(names.insert(Name(rule)).second) << Name(rule);
  }
  for (int i = 0; i < kGateRuleCount; ++i) {  // the console's error says what to do next
    const Refusal refusal{static_cast<GateRule>(i), "the answer is wrong.", {}, QueryPart::kNone};
    EXPECT_EQ(refusal.ToError().message, std::string(Name(refusal.rule)) +
                                             ": the answer is wrong. " +
                                             std::string(Advice(refusal.rule)));
    EXPECT_GT(Advice(refusal.rule).size(), 20U) << Name(refusal.rule);
  }
  EXPECT_EQ(Name(GateRule::kMinSites), "GATE_MIN_SITES");
  EXPECT_EQ(Name(GateRule::kNotMasked), "GATE_NOT_MASKED");
  EXPECT_EQ(Name(GateRule::kLedgerUnavailable), "GATE_LEDGER_UNAVAILABLE");
}

// --- what may be asked at all

TEST_F(GateAttack, AStudyThatWasNotApprovedGetsNothing) {
  EXPECT_EQ(Outcome(gate_, Round("other", 0), Ask("f", all_), Mine(rows_)),
            "GATE_STUDY_NOT_APPROVED");
}

TEST_F(GateAttack, ACraftedQuestionIsRefusedWithItsFirstDifference) {
  RoundFacts facts = Round("s", 0);
  facts.derived = false;
  facts.difference = QueryPart::kBlock;
  facts.difference_name = "beta";
  const federation::Step step = SumStep();
  const auto admitted = gate_.AdmitQuery(facts, Ask("f", all_), &step, Mine(rows_));
  ASSERT_FALSE(admitted.has_value());
  EXPECT_EQ(Name(admitted.error().rule), "GATE_NOT_DERIVED");
  EXPECT_NE(ledger_.last().detail.find("block 'beta'"), std::string::npos);
  EXPECT_EQ(ToOutward(admitted.error()).ToText(),
            "PERMISSION_DENIED GATE_NOT_DERIVED part=block round=0 attempt=0");
}

TEST_F(GateAttack, AStepThatIsNotInstalledIsRefused) {
  EXPECT_EQ(
      Name(gate_.AdmitQuery(Round("s", 0), Ask("f", all_), nullptr, Mine(rows_)).error().rule),
      "GATE_UNKNOWN_STEP");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_, 0, {}, "rows"), Mine(rows_)),
            "GATE_UNKNOWN_STEP");
}

TEST_F(GateAttack, NamesThatCouldForgeALineOfTheLedgerAreRefused) {
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f\nRound 9: all fine", all_), Mine(rows_)),
            "GATE_MALFORMED_QUERY");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask(std::string(600, 'f'), all_), Mine(rows_)),
            "GATE_MALFORMED_QUERY");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_, -1), Mine(rows_)), "GATE_MALFORMED_QUERY");
  for (const LedgerRecord& record : ledger_.records())
    EXPECT_EQ(ToLine(record).find('\n'), std::string::npos);
}

// --- rule 1: enough hospitals, the right ones

TEST_F(GateAttack, ASumOverTwoSitesIsRefused) {
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", {"A", "B"}), Mine(rows_)), "GATE_MIN_SITES");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", {"A"}), Mine(rows_)), "GATE_MIN_SITES");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", {}), Mine({})), "GATE_MIN_SITES");
  EXPECT_EQ(Outcome(gate_, Round("s", 0, 0, {"A", "B"}), Ask("f", {"A", "B"}), Mine(rows_)),
            "GATE_MIN_SITES");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", {"A", "B", "C"}), Mine(rows_)), "answered");
}

TEST_F(GateAttack, AHospitalThatCountsTwiceIsRefused) {
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", {"A", "B", "B"}), Mine(rows_)),
            "GATE_DUPLICATE_MEMBER");
  EXPECT_EQ(Outcome(gate_, Round("s", 0, 0, {"A", "B", "B"}), Ask("f", {"A", "B"}), Mine(rows_)),
            "GATE_DUPLICATE_MEMBER");
  RoundFacts one_key = Round("s", 0);
  one_key.roster[1].fingerprint = one_key.roster[2].fingerprint;
  EXPECT_EQ(Outcome(gate_, one_key, Ask("f", all_), Mine(rows_)), "GATE_DUPLICATE_MEMBER");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", {"C", "B", "A"}), Mine(rows_)),
            "GATE_MALFORMED_QUERY");
}

TEST_F(GateAttack, InventedHospitalsAndKeysThatWereNotPinnedAreRefused) {
  EXPECT_EQ(Outcome(gate_, Round("s", 0, 0, {"A", "B", "C", "X"}), Ask("f", {"A", "B", "C"}),
                    Mine(rows_)),
            "GATE_UNKNOWN_MEMBER");
  EXPECT_EQ(Outcome(gate_, Round("s", 0, 0, {"A", "B", "C"}), Ask("f", {"A", "B", "C", "D"}),
                    Mine(rows_)),
            "GATE_UNKNOWN_MEMBER");
  EXPECT_EQ(Outcome(gate_, Round("s", 0, 0, {"B", "C", "D"}), Ask("f", {"B", "C", "D"}), Mine({})),
            "GATE_UNKNOWN_MEMBER");
  RoundFacts swapped = Round("s", 0);
  swapped.roster[3].fingerprint = Sha256("the coordinator's own keys");
  EXPECT_EQ(Outcome(gate_, swapped, Ask("f", all_), Mine(rows_)), "GATE_KEY_NOT_PINNED");
}

TEST_F(GateAttack, TwoSitesAreEnoughForPublicDataOnlyAndThatIsWrittenDown) {
  study::Study study = StudyNamed("public");
  study.policy = study::Policy::kPublicData;
  study.privacy.min_sites = 2;
  Approval approval = ApprovalOfAll();
  approval.public_data = true;
  EXPECT_EQ(Approve(study, approval), "GATE_POLICY_NOT_APPROVED");  // the site's settings say no
  Ledger ledger("A");
  Gate gate({.min_sites = 3, .min_cell = 5, .allow_public_data = true}, ledger);
  approval.public_data = false;
  EXPECT_FALSE(gate.ApproveStudy(study, approval).has_value());  // the person says no
  approval.public_data = true;
  ASSERT_TRUE(gate.ApproveStudy(study, approval).has_value());
  EXPECT_EQ(Outcome(gate, Round("public", 0), Ask("f", {"A", "B"}), Mine(rows_)), "answered");
  ASSERT_EQ(ledger.last().waived.size(), 1u);
  EXPECT_EQ(ledger.last().waived[0], "GATE_MIN_SITES: a sum over 2 sites");
  EXPECT_EQ(Outcome(gate, Round("public", 0), Ask("f", {"A"}), Mine(rows_)), "GATE_MIN_SITES");
}

TEST_F(GateAttack, ATinyStudyIsRefusedWhenItIsApproved) {
  study::Study study = StudyNamed("tiny");
  study.privacy.min_sites = 2;
  EXPECT_EQ(Approve(study), "GATE_MIN_SITES");
  study = StudyNamed("cells");
  study.privacy.min_cell = 4;
  EXPECT_EQ(Approve(study), "GATE_CELL_TOO_SMALL");
  study = StudyNamed("bare");
  study.privacy.masks = false;
  EXPECT_EQ(Approve(study), "GATE_NOT_MASKED");
}

// --- rule 2: one question, one roster, one attempt

TEST_F(GateAttack, TheSameQuestionUnderAnotherRosterIsRefused) {
  const federation::Query query = Ask("f", {"A", "B", "C"});
  ASSERT_EQ(Outcome(gate_, Round("s", 0), query, Mine(rows_)), "answered");
  EXPECT_EQ(Outcome(gate_, Round("s", 0, 0, {"A", "B", "C", "D"}), query, Mine(rows_)),
            "GATE_ROSTER_CHANGED");
  EXPECT_EQ(Outcome(gate_, Round("s", 1, 0, {"A", "B", "C", "D"}), query, Mine(rows_)),
            "GATE_ROSTER_CHANGED");
  RoundFacts renamed = Round("s", 1);
  renamed.roster_hash = Sha256("the same sites under another hash");
  EXPECT_EQ(Outcome(gate_, renamed, query, Mine(rows_)), "GATE_ROSTER_CHANGED");
  RoundFacts same_hash = Round("s", 1, 0, {"A", "B", "C"});
  same_hash.roster_hash = Round("s", 0).roster_hash;
  EXPECT_EQ(Outcome(gate_, same_hash, query, Mine(rows_)), "GATE_ROSTER_CHANGED");
}

TEST_F(GateAttack, AResendIsGivenAgainAndCountedOnce) {
  const federation::Query query = Ask("f", all_);
  ASSERT_EQ(Outcome(gate_, Round("s", 0), query, Mine(rows_)), "answered");
  const std::size_t before = ledger_.records().size();
  EXPECT_EQ(Outcome(gate_, Round("s", 0), query, Mine(rows_)), "answered");
  EXPECT_EQ(ledger_.records().size(), before);
  EXPECT_EQ(CountEquations(ledger_.records())[0].equations, 4u);
}

TEST_F(GateAttack, OtherBytesUnderTheSameMaskAreRefused) {
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(rows_)), "answered");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(rows_), Words(8)),
            "GATE_ANSWER_CHANGED");
}

TEST_F(GateAttack, ARoundThatIsAskedAgainWithAnotherQuestionIsRefused) {
  ASSERT_EQ(Outcome(gate_, Round("s", 4), Ask("f", all_), Mine(rows_)), "answered");
  RoundFacts again = Round("s", 4);
  again.round_digest = Sha256("another round");
  EXPECT_EQ(Outcome(gate_, again, Ask("g", all_), Mine(rows_)), "GATE_REASKED");
  EXPECT_EQ(Outcome(gate_, Round("s", 3), Ask("g", all_), Mine(rows_)), "GATE_REASKED");
  EXPECT_EQ(Outcome(gate_, Round("s", 4), Ask("g", all_), Mine(rows_)),
            "answered");  // the same round's other question
}

TEST_F(GateAttack, AnotherAttemptNeedsTheFirstOnesEndAndAnApproval) {
  const federation::Query query = Ask("f", {"A", "B", "C"});
  ASSERT_EQ(Outcome(gate_, Round("s", 0), query, Mine(rows_)), "answered");
  EXPECT_EQ(Outcome(gate_, Round("s", 0, 1, {"A", "B", "C", "D"}), query, Mine(rows_)),
            "GATE_REASKED");
  ASSERT_TRUE(gate_.EndAttempt(Round("s", 0).study, 0, "E left for good").has_value());
  EXPECT_EQ(Outcome(gate_, Round("s", 0, 1, {"A", "B", "C", "D"}), query, Mine(rows_)),
            "GATE_RESTART_NOT_APPROVED");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), query, Mine(rows_)), "GATE_ATTEMPT_MIXED");
}

TEST_F(GateAttack, AnApprovedRestartIsNeverAMix) {
  study::Study study = StudyNamed("r");
  study.quorum.then = "restart-without";
  EXPECT_EQ(Approve(study), "GATE_RESTART_NOT_APPROVED");
  Approval approval = ApprovalOfAll();
  approval.restart_without = true;
  ASSERT_EQ(Approve(study, approval), "approved");
  const federation::Query query = Ask("f", {"A", "B", "C"});
  const std::vector<std::string> four = {"A", "B", "C", "D"};
  ASSERT_EQ(Outcome(gate_, Round("r", 5, 0, four), query, Mine(rows_)), "answered");
  ASSERT_TRUE(gate_.EndAttempt(Round("r", 0).study, 0, "D left").has_value());
  EXPECT_EQ(Outcome(gate_, Round("r", 0, 1, all_), query, Mine(rows_)),
            "GATE_ROSTER_CHANGED");  // E comes back
  EXPECT_EQ(Outcome(gate_, Round("r", 0, 1, {"A", "B", "C"}), query, Mine(rows_)), "answered");
  EXPECT_EQ(Outcome(gate_, Round("r", 6, 0, four), query, Mine(rows_)), "GATE_ATTEMPT_MIXED");
  EXPECT_EQ(Outcome(gate_, Round("r", 1, 1, four), query, Mine(rows_)), "GATE_ROSTER_CHANGED");
}

// --- rule 3: row sets

TEST_F(GateAttack, FoldsOfATinySiteAreRefusedBeforeAndDuringTheStudy) {
  const RowSet tiny = Rows(0, 40);  // ten folds of four rows
  std::vector<RowSet> planned = {tiny};
  for (std::uint32_t k = 0; k < 10; ++k) planned.push_back(Without(tiny, Rows(4 * k, 4 * k + 4)));
  const auto plan = gate_.CheckPlannedRowSets(Round("s", 0).study, planned);
  ASSERT_FALSE(plan.has_value());
  EXPECT_EQ(Name(plan.error().rule), "GATE_ROW_SETS_DIFFER");
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(tiny)), "answered");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_, 1), Mine(planned[1], Rows(0, 4))),
            "GATE_ROW_SETS_DIFFER");
  // Folds of five rows are allowed.
  std::vector<RowSet> wide = {Rows(100, 150)};
  for (std::uint32_t k = 0; k < 10; ++k)
    wide.push_back(Without(wide[0], Rows(100 + 5 * k, 105 + 5 * k)));
  EXPECT_TRUE(gate_.CheckPlannedRowSets(Round("s", 0).study, wide).has_value());
}

TEST_F(GateAttack, AWithdrawalOfOneToFourRowsIsRefusedAcrossStudiesAndFiveAreNot) {
  ASSERT_EQ(Approve(StudyNamed("second")), "approved");
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(rows_)), "answered");
  for (std::uint32_t gone = 1; gone <= 4; ++gone) {
    const RowSet left = Without(rows_, Rows(20, 20 + gone));
    EXPECT_EQ(Outcome(gate_, Round("second", 0), Ask("f", all_), Mine(left)),
              "GATE_ROW_SETS_DIFFER")
        << gone;
    RowSet exchanged = left;  // as many new rows come in
    for (std::uint32_t i = 0; i < gone && 2 * gone < 5; ++i) exchanged.push_back(70 + i);
    EXPECT_EQ(Outcome(gate_, Round("second", 0), Ask("f", all_), Mine(exchanged)),
              "GATE_ROW_SETS_DIFFER")
        << gone;
  }
  EXPECT_EQ(Outcome(gate_, Round("second", 0), Ask("f", all_), Mine(Without(rows_, Rows(20, 25)))),
            "answered");
}

TEST_F(GateAttack, OneColumnInCommonIsEnoughToCompareStudies) {
  Approval other = ApprovalOfAll();
  other.columns = {"glcm_Contrast", "died"};
  ASSERT_EQ(Approve(StudyNamed("shares the outcome"), other), "approved");
  other.columns = {"glcm_Contrast"};
  ASSERT_EQ(Approve(StudyNamed("shares nothing"), other), "approved");
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(rows_)), "answered");
  const RowSet left = Without(rows_, {7});
  EXPECT_EQ(Outcome(gate_, Round("shares the outcome", 0), Ask("f", all_), Mine(left)),
            "GATE_ROW_SETS_DIFFER");
  EXPECT_EQ(Outcome(gate_, Round("shares nothing", 0), Ask("f", all_), Mine(left)), "answered");
  other.columns = {};
  EXPECT_EQ(Approve(StudyNamed("names no columns"), other), "GATE_MALFORMED_QUERY");
}

TEST_F(GateAttack, AFewRowsAloneDifferFromNoRowsByTooFew) {
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(Rows(0, 4))),
            "GATE_ROW_SETS_DIFFER");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(Rows(0, 30), Rows(30, 33))),
            "GATE_ROW_SETS_DIFFER");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(Rows(0, 5))), "answered");
}

TEST_F(GateAttack, ReleasesCountAsUsesOfTheirRows) {
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(rows_)), "answered");
  const federation::Step step = ReleaseStep();
  const auto given = gate_.AdmitRelease(Round("s", 1), Ask("f", {"A"}, 0, {}, "release"), &step,
                                        Mine(Without(rows_, {3})), {30, 29}, {});
  ASSERT_FALSE(given.has_value());
  EXPECT_EQ(Name(given.error().rule), "GATE_ROW_SETS_DIFFER");
}

TEST_F(GateAttack, PublicDataWaivesRowSetsAndWritesItDown) {
  Ledger ledger("A");
  Gate gate({.min_sites = 3, .min_cell = 5, .allow_public_data = true}, ledger);
  study::Study study = StudyNamed("public");
  study.policy = study::Policy::kPublicData;
  Approval approval = ApprovalOfAll();
  approval.public_data = true;
  ASSERT_TRUE(gate.ApproveStudy(study, approval).has_value());
  ASSERT_EQ(Outcome(gate, Round("public", 0), Ask("f", all_), Mine(rows_)), "answered");
  EXPECT_EQ(Outcome(gate, Round("public", 0), Ask("g", all_), Mine(Without(rows_, {1}))),
            "answered");
  ASSERT_FALSE(ledger.last().waived.empty());
  EXPECT_TRUE(ledger.last().waived[0].starts_with("GATE_ROW_SETS_DIFFER"));
}

TEST_F(GateAttack, RowNamesOutliveFilesSoThatAWithdrawalShiftsNobody) {
  federation::Cohort cohort;
  cohort.patient = {0, 1, 1, 2};
  cohort.patient_ids = {"p1", "p2", "p3"};
  const Bytes key(32, 9);
  const auto names = RowNames(cohort, key);
  const auto numbers = gate_.NumberRows(names);
  ASSERT_TRUE(numbers.has_value());
  EXPECT_EQ(*numbers, (std::vector<std::uint32_t>{0, 1, 2, 3}));
  federation::Cohort later;  // p1 withdrew, p9 came, another order
  later.patient = {1, 0, 2, 2};
  later.patient_ids = {"p3", "p9", "p2"};
  const auto then = gate_.NumberRows(RowNames(later, key));
  ASSERT_TRUE(then.has_value());
  EXPECT_EQ(*then, (std::vector<std::uint32_t>{4, 3, 1, 2}));
  EXPECT_NE(RowNames(cohort, Bytes(32, 8))[0],
            names[0]);  // keyed: a guessed id does not tell its row
  EXPECT_FALSE(gate_.NumberRows(std::vector<Digest>{names[0], names[0]}).has_value());
}

TEST_F(GateAttack, DataThatChangeUnderARunningStudyAreNotAnsweredFrom) {
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(rows_)), "answered");
  MyRows corrected =
      Mine(rows_);  // the same rows, one value corrected: the difference would be that value
  corrected.cohort = Sha256("corrected cohort");
  EXPECT_EQ(Outcome(gate_, Round("s", 1), Ask("f", all_), corrected), "GATE_COHORT_CHANGED");
}

TEST_F(GateAttack, RowsOfASiteThatIsNoMemberDoNotEnter) {
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", {"B", "C", "D"}), Mine(rows_)),
            "GATE_MALFORMED_QUERY");
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("f", {"B", "C", "D"}), Mine({})), "answered");
  EXPECT_EQ(ledger_.last().equations, 0u);
  EXPECT_NE(ledger_.last().sentence.find("no row of mine"), std::string::npos);
}

// --- rule 4: curvature

TEST_F(GateAttack, CurvatureWiderThanAThirdOfTheRowsIsRefusedUnlessFastWasApproved) {
  const auto ask = [&](const char* fit, double columns) {
    return Ask(fit, all_, 0, {{"columns", columns}, {"rows", 200}, {"point", columns}});
  };
  EXPECT_EQ(Outcome(gate_, Round("s", 0), ask("f", 67), Mine(rows_)), "GATE_CURVATURE_TOO_WIDE");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), ask("f", 66), Mine(rows_)), "answered");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_, 0, {{"columns", 5}}), Mine(rows_)),
            "GATE_CURVATURE_TOO_WIDE");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_, 0, {{"columns", 5}, {"rows", NAN}}),
                    Mine(rows_)),
            "GATE_MALFORMED_QUERY");
  study::Study fast = StudyNamed("fast");
  fast.privacy.strict_curvature = false;
  EXPECT_EQ(Approve(fast), "GATE_FAST_NOT_APPROVED");
  Approval approval = ApprovalOfAll();
  approval.fast_curvature = true;
  ASSERT_EQ(Approve(fast, approval), "approved");
  EXPECT_EQ(Outcome(gate_, Round("fast", 0), ask("f", 150), Mine(rows_)), "answered");
}

TEST_F(GateAttack, CurvatureAtOnePointForTwoPatternsIsRefused) {
  const std::vector<Fact> facts = {{"columns", 60}, {"rows", 200}, {"point", 3}};
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("full", all_, 0, facts), Mine(rows_)), "answered");
  const MyRows without = Mine(Rows(6, 60), Rows(0, 6));
  const std::vector<Fact> shared = {{"columns", 59}, {"rows", 180}, {"point", 3}};
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("fold", all_, 1, shared), without),
            "GATE_CURVATURE_SHARED_POINT");
  const std::vector<Fact> own = {{"columns", 59}, {"rows", 180}, {"point", 4}};
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("fold", all_, 1, own), without), "answered");
  // The same pattern may come back to its point.
  EXPECT_EQ(Outcome(gate_, Round("s", 1), Ask("full again", all_, 0, facts), Mine(rows_)),
            "answered");
}

TEST_F(GateAttack, CurvatureWithoutSlopesIsTheSamePointForEverybody) {
  const std::vector<Fact> facts = {{"columns", 60}, {"rows", 200}, {"null", 1}, {"point", 3}};
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("full", all_, 0, facts), Mine(rows_)), "answered");
  const std::vector<Fact> other_intercept = {
      {"columns", 59}, {"rows", 180}, {"null", 1}, {"point", 4}};
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("fold", all_, 1, other_intercept),
                    Mine(Rows(6, 60), Rows(0, 6))),
            "GATE_CURVATURE_NULL_POINT");
}

TEST_F(GateAttack, CrossProductsOfAFewCovariatesAreWithinTheBoundForTheDifferenceToo) {
  // ComBat's covariates: 4 columns. Two patterns differ by at least min_sites * min_cell = 15 rows:
  // 0.33 * 15 = 4.95.
  const std::vector<Fact> four = {{"columns", 4}, {"rows", 200}, {"null", 1}};
  const std::vector<Fact> four_fold = {{"columns", 4}, {"rows", 190}, {"null", 1}};
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("full", all_, 0, four), Mine(rows_)), "answered");
  EXPECT_EQ(
      Outcome(gate_, Round("s", 0), Ask("fold", all_, 1, four_fold), Mine(Rows(5, 60), Rows(0, 5))),
      "answered");
  const std::vector<Fact> five = {{"columns", 5}, {"rows", 190}, {"null", 1}};
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("fold", all_, 2, five),
                    Mine(Without(rows_, Rows(5, 10)), Rows(5, 10))),
            "GATE_CURVATURE_NULL_POINT");
  // Where the queries tell how many rows lie between, that number counts: 200 - 150 rows carry 5
  // columns.
  const std::vector<Fact> told = {{"columns", 5}, {"rows", 150}, {"null", 1}};
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("fold", all_, 3, told),
                    Mine(Without(rows_, Rows(10, 15)), Rows(10, 15))),
            "answered");
}

// --- rule 5: leave-one-center-out

TEST_F(GateAttack, LeavingOneCenterOutNeedsThisSitesConsent) {
  study::Study study = StudyNamed("loco");
  study.design = study::Design::kLeaveOneCenterOut;
  EXPECT_EQ(Approve(study), "GATE_NO_CONSENT");
  Approval approval = ApprovalOfAll();
  approval.leave_one_center_out = true;
  ASSERT_EQ(Approve(study, approval), "approved");
  ASSERT_EQ(Outcome(gate_, Round("loco", 0), Ask("not B", {"A", "C", "D", "E"}), Mine(rows_)),
            "answered");
  EXPECT_EQ(Outcome(gate_, Round("loco", 0), Ask("not C", {"A", "B", "D", "E"}), Mine(rows_)),
            "answered");
  // In a study that was approved without it, two sums must not differ by one or two centers.
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("all", all_), Mine(rows_)), "answered");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("not B", {"A", "C", "D", "E"}), Mine(rows_)),
            "GATE_NO_CONSENT");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("not me", {"B", "C", "D", "E"}), Mine({})),
            "GATE_NO_CONSENT");
}

// --- rule 6: bins, releases, scoring

TEST_F(GateAttack, BinsBelowTheMinimumCellAreNotRefined) {
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_, 0, {{"parent", 4}}), Mine(rows_)),
            "GATE_BIN_TOO_FINE");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_, 0, {{"parent", 0}}), Mine(rows_)),
            "GATE_BIN_TOO_FINE");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_, 0, {{"parent", 5}}), Mine(rows_)),
            "answered");
}

TEST_F(GateAttack, AReleaseBelowTheCellSizeLeavesWithoutItsNumbers) {
  const federation::Step step = ReleaseStep();
  const federation::Release release{
      {{"n", Eigen::MatrixXd::Constant(1, 1, 60)}, {"auc", Eigen::MatrixXd::Constant(1, 5, .75)}}};
  const federation::Query query = Ask("lasso, held out A", {"A"}, 0, {{"scores", 1}}, "release");
  const auto given = gate_.AdmitRelease(Round("s", 9), query, &step, Mine(rows_), {4, 56}, release);
  ASSERT_TRUE(given.has_value()) << given.error().message;
  EXPECT_EQ((*federation::Find(given->blocks, "n"))(0, 0), 60);
  EXPECT_TRUE(federation::Find(given->blocks, "auc")->array().isNaN().all());
  EXPECT_NE(ledger_.last().detail.find("auc: fewer than 5 events"), std::string::npos);
  // Asked again it is the same release, counted once.
  const std::size_t before = ledger_.records().size();
  EXPECT_TRUE(
      gate_.AdmitRelease(Round("s", 9), query, &step, Mine(rows_), {4, 56}, release).has_value());
  EXPECT_EQ(ledger_.records().size(), before);
}

TEST_F(GateAttack, WhatTheStudyDoesNotListIsNotReleased) {
  const federation::Step step = ReleaseStep();
  const federation::Query query = Ask("f", {"A"}, 0, {}, "release");
  const auto release = [&](federation::Block block) {
    const auto given = gate_.AdmitRelease(Round("s", 0), query, &step, Mine(rows_), {30, 30},
                                          {{std::move(block)}});
    return given ? "given" : std::string(Name(given.error().rule));
  };
  EXPECT_EQ(release({"scores", Eigen::MatrixXd::Zero(60, 1)}), "GATE_RELEASE_NOT_LISTED");
  EXPECT_EQ(release({"auc", Eigen::MatrixXd::Zero(60, 1)}),
            "GATE_RELEASE_MALFORMED");  // scores under a listed name
  EXPECT_EQ(release({"n", Eigen::MatrixXd::Constant(1, 1, 59)}), "GATE_RELEASE_MALFORMED");
  const auto more = gate_.AdmitRelease(Round("s", 0), query, &step, Mine(rows_), {61, 30}, {});
  EXPECT_EQ(Name(more.error().rule), "GATE_RELEASE_MALFORMED");
  const auto foreign =
      gate_.AdmitRelease(Round("s", 0), Ask("f", {"B"}, 0, {}, "release"), &step, Mine({}), {}, {});
  EXPECT_EQ(Name(foreign.error().rule), "GATE_UNKNOWN_MEMBER");
  EXPECT_EQ(release({"n", Eigen::MatrixXd::Constant(1, 1, 60)}), "given");
}

TEST_F(GateAttack, ASumIsNotARelease) {
  const federation::Step sum = SumStep();
  const federation::Step release = ReleaseStep();
  EXPECT_EQ(Name(gate_.AdmitRelease(Round("s", 0), Ask("f", all_), &sum, Mine(rows_), {30, 30}, {})
                     .error()
                     .rule),
            "GATE_MALFORMED_QUERY");
  EXPECT_EQ(Name(gate_
                     .AdmitAnswer(Round("s", 0), Ask("f", {"A"}, 0, {}, "release"), &release,
                                  Mine(rows_), {}, true)
                     .error()
                     .rule),
            "GATE_MALFORMED_QUERY");
}

TEST_F(GateAttack, AModelIsScoredOnceAtACenter) {
  const federation::Step step = ReleaseStep();
  const auto score = [&](std::uint64_t round, double threshold) {
    const auto given = gate_.AdmitRelease(
        Round("s", round),
        Ask("lasso, held out A", {"A"}, 0, {{"scores", 1}, {"threshold", threshold}}, "release"),
        &step, Mine(rows_), {30, 30}, {});
    return given ? "given" : std::string(Name(given.error().rule));
  };
  EXPECT_EQ(score(8, .2), "given");
  EXPECT_EQ(score(8, .2), "given");
  EXPECT_EQ(score(9, .21),
            "GATE_SECOND_SCORING");  // a threshold moved by one row would tell that row
}

// --- what goes out

TEST_F(GateAttack, AnswersOfAnotherSizeAndUnmaskedWordsStay) {
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(rows_), Bytes(31)),
            "GATE_ANSWER_SIZE");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(rows_), Bytes(40)),
            "GATE_ANSWER_SIZE");
  EXPECT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(rows_), Words(), false),
            "GATE_NOT_MASKED");
}

TEST_F(GateAttack, OutwardErrorsCarryNoTextThatSomebodyWrote) {
  const Error local{ErrorCode::kInvalidArgument,
                    "file /data/mumc.csv, line 17: died = 'yes', patient 0815"};
  EXPECT_EQ(ToOutward(local).ToText(), "INVALID_ARGUMENT");
  ASSERT_EQ(Outcome(gate_, Round("s", 0), Ask("f", all_), Mine(rows_)), "answered");
  const federation::Step step = SumStep();
  const auto refused =
      gate_.AdmitQuery(Round("s", 1), Ask("secret-fit", all_), &step, Mine(Without(rows_, {3, 4})));
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("differ by 2 rows"),
            std::string::npos);  // stays in the ledger
  EXPECT_EQ(ToOutward(refused.error()).ToText(),
            "PERMISSION_DENIED GATE_ROW_SETS_DIFFER min_cell=5");
}

TEST_F(GateAttack, EveryRefusalIsInTheLedgerOnce) {
  const std::size_t before = ledger_.records().size();
  for (int i = 0; i < 3; ++i)
    static_cast<void>(Outcome(gate_, Round("s", 0), Ask("f", {"A", "B"}), Mine(rows_)));
  ASSERT_EQ(ledger_.records().size(), before + 1);
  const LedgerRecord& record = ledger_.last();
  EXPECT_EQ(record.event, LedgerEvent::kQueryRefused);
  EXPECT_EQ(record.rule, "GATE_MIN_SITES");
  EXPECT_TRUE(record.sentence.starts_with("Round 0: sent nothing; refused 'sum' for the fit 'f'"))
      << record.sentence;
}

class GateLedger : public ::testing::Test {
 protected:
  GateLedger() {
    EXPECT_TRUE(Gate({}, ledger_).ApproveStudy(StudyNamed("s"), ApprovalOfAll()).has_value());
  }
  static std::string Ask60(Gate& gate) {
    return Outcome(gate, Round("s", 0), Ask("f", FiveSites()), Mine(Rows(0, 60)));
  }
  testing::LedgerDisk disk_;
  Ledger ledger_{"A", &disk_};
};

TEST_F(GateLedger, WhatCannotBeWrittenDownDoesNotLeave) {
  Gate gate({}, ledger_);
  disk_.room = disk_.kept;
  EXPECT_EQ(Ask60(gate), "GATE_LEDGER_UNAVAILABLE");
  const federation::Step step = ReleaseStep();
  EXPECT_FALSE(gate.AdmitRelease(Round("s", 0), Ask("f", {"A"}, 0, {}, "release"), &step,
                                 Mine(Rows(0, 60)), {30, 30}, {})
                   .has_value());
  disk_.room = SIZE_MAX;
  EXPECT_EQ(Ask60(gate), "answered");
}

TEST_F(GateLedger, WhoeverCannotReadWhatWasAnsweredAnswersNothing) {
  disk_.unreadable = true;
  Gate gate({}, ledger_);
  EXPECT_EQ(gate.ApproveStudy(StudyNamed("t"), ApprovalOfAll()).error().rule,
            GateRule::kLedgerUnavailable);
  EXPECT_NE(Ask60(gate), "answered");
  EXPECT_EQ(ledger_.head().count, 1U);
}

TEST_F(GateLedger, AStudyThatIsOverAnswersNothingAndIsStillHeldAgainstOthers) {
  Gate gate({}, ledger_);
  ASSERT_TRUE(gate.ApproveStudy(StudyNamed("t"), ApprovalOfAll()).has_value());
  ASSERT_EQ(Ask60(gate), "answered");
  ASSERT_TRUE(gate.EndStudy(Round("s", 0).study, "finished").has_value());
  const auto after = [](Gate& closed) {
    EXPECT_EQ(Ask60(closed), "GATE_ATTEMPT_MIXED") << "not even what was answered before";
    EXPECT_EQ(closed.ApproveStudy(StudyNamed("s"), ApprovalOfAll()).error().rule,
              GateRule::kStudyChanged);
    EXPECT_EQ(Outcome(closed, Round("t", 0), Ask("f", FiveSites()), Mine(Rows(0, 58))),
              "GATE_ROW_SETS_DIFFER");
  };
  after(gate);
  const std::uint64_t records = ledger_.head().count;
  ASSERT_TRUE(gate.EndStudy(Round("s", 0).study, "finished").has_value());
  ASSERT_TRUE(gate.EndAttempt(Round("s", 0).study, 0, "somebody left").has_value());
  ASSERT_TRUE(gate.EndStudy(Round("v", 0).study, "finished").has_value()) << "never approved";
  EXPECT_EQ(ledger_.head().count, records);
  Gate again({}, ledger_);
  after(again);
  EXPECT_EQ(ledger_.head().count, records) << "each refusal is written once";
}

TEST_F(GateAttack, AnApprovalStandsForGood) {
  const std::size_t before = ledger_.records().size();
  EXPECT_EQ(Approve(StudyNamed("s")), "approved");
  EXPECT_EQ(ledger_.records().size(), before);
  Approval looser = ApprovalOfAll();
  looser.leave_one_center_out = true;
  EXPECT_EQ(Approve(StudyNamed("s"), looser), "GATE_STUDY_CHANGED");
  Approval unpinned = ApprovalOfAll();
  unpinned.pinned.pop_back();
  EXPECT_EQ(Approve(StudyNamed("t"), unpinned), "GATE_KEY_NOT_PINNED");
  Approval stranger = ApprovalOfAll();
  stranger.pinned.push_back({"X", Sha256("x")});
  EXPECT_EQ(Approve(StudyNamed("t"), stranger), "GATE_UNKNOWN_MEMBER");
  Approval contradictory = ApprovalOfAll();
  contradictory.releases.push_back(contradictory.releases.front());
  EXPECT_EQ(Approve(StudyNamed("t"), contradictory), "GATE_RELEASE_NOT_LISTED");
}

}  // namespace
}  // namespace consilium::site_agent
