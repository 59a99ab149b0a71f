#include "learning/verdict.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace consilium::learning {
namespace {

// Components with a wished AUC and DeLong variance v.
AucComponents Auc(std::int64_t events, std::int64_t nonevents, double value, double v) {
  const auto m = static_cast<double>(events);
  const auto n = static_cast<double>(nonevents);
  return {events, nonevents, value * m * n, 0.5 * v * m, 0.5 * v * n};
}

InternalAuc Home(double value, double variance) {
  return {value, variance, LogitInterval(value, variance), {}, {}};
}

// Treats exactly the events, give or take: useful at any threshold.
ThresholdCounts Useful(double threshold) { return {threshold, 400, 200, 180, 20}; }
// As good as treating everybody.
ThresholdCounts LikeAll(double threshold) { return {threshold, 400, 200, 199, 195}; }

VerdictCenter Center(const std::string& name, double internal, double external, double v,
                     std::vector<ThresholdCounts> counts = {Useful(0.2)}) {
  VerdictCenter center;
  center.center.name = name;
  center.center.internal = Home(internal, 1e-4);
  center.center.external = Auc(200, 200, external, v);
  center.counts = std::move(counts);
  return center;
}

VerdictInput GoodStudy() {
  VerdictInput input;
  input.has_primary = true;
  input.thresholds = {0.2};
  input.centers = {Center("a", 0.82, 0.81, 4e-4), Center("b", 0.82, 0.80, 4e-4),
                   Center("c", 0.82, 0.82, 4e-4)};
  return input;
}

bool Says(const Verdict& verdict, const std::string& sentence) {
  return std::find(verdict.sentences.begin(), verdict.sentences.end(), sentence) !=
         verdict.sentences.end();
}

TEST(Verdict, AGoodStudyIsReady) {
  const auto verdict = Judge(GoodStudy());
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->word, VerdictWord::kReady);
  ASSERT_EQ(verdict->criteria.size(), 4);
  for (const Criterion& criterion : verdict->criteria) {
    EXPECT_EQ(criterion.status, CriterionStatus::kPassed) << criterion.finding;
  }
  EXPECT_EQ(verdict->criteria[0].finding,
            "3 counting centers, 600 events and 600 non-events: minimum.");
  EXPECT_TRUE(verdict->sentences.empty());
}

TEST(Verdict, FiveCentersAreFull) {
  VerdictInput input = GoodStudy();
  input.centers.push_back(Center("d", 0.82, 0.81, 4e-4));
  input.centers.push_back(Center("e", 0.82, 0.81, 4e-4));
  EXPECT_NE(Judge(input)->criteria[0].finding.find("full"), std::string::npos);
}

TEST(Verdict, LeaveOneCenterOutIsNeverReady) {
  VerdictInput input = GoodStudy();
  input.leave_one_center_out = true;
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kProcedureTransports);
  EXPECT_TRUE(Says(*verdict,
                   "Leave-one-center-out: this supports the procedure; the shipped model has not "
                   "been validated outside its training centers."));
}

TEST(Verdict, WithoutAPreregisteredPrimaryNothingIsAssessed) {
  VerdictInput input = GoodStudy();
  input.has_primary = false;
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kNotAssessed);
  EXPECT_TRUE(verdict->criteria.empty());
  EXPECT_FALSE(verdict->pooled_95.has_value());
}

TEST(Verdict, TwoCountingCentersAreNamedAndNotPooled) {
  VerdictInput input = GoodStudy();
  input.centers[2].center.name = "switzerland";
  input.centers[2].center.external = AucComponents{45, 1, 41, 0.08, 0};
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kInsufficientEvidence);
  EXPECT_TRUE(Says(*verdict,
                   "Insufficient evidence: 2 of 3 required centers count; switzerland does not (1 "
                   "non-event)."));
  EXPECT_TRUE(Says(*verdict, "Too few centers (k < 3) to describe a new hospital."));
  EXPECT_FALSE(verdict->pooled_95.has_value());
  EXPECT_TRUE(verdict->net_benefit.empty());
}

TEST(Verdict, TooFewEventsInAllIsInsufficientEvenWithThreeCenters) {
  VerdictInput input = GoodStudy();
  for (VerdictCenter& center : input.centers) center.center.external = Auc(20, 300, 0.81, 1e-4);
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kInsufficientEvidence);
  EXPECT_EQ(verdict->criteria[0].status, CriterionStatus::kOpen);
  EXPECT_TRUE(Says(*verdict,
                   "Insufficient evidence: 3 counting centers, 60 events and 900 non-events; at "
                   "least 100 events and 100 non-events are required."));
}

TEST(Verdict, AWideIntervalShowsNeitherSuccessNorFailure) {
  VerdictInput input = GoodStudy();
  input.centers = {Center("a", 0.85, 0.86, 1e-3), Center("b", 0.85, 0.87, 1e-3),
                   Center("c", 0.85, 0.76, 1e-3)};
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kInsufficientEvidence);
  EXPECT_EQ(verdict->criteria[1].status, CriterionStatus::kOpen);
  const auto found =
      std::find_if(verdict->sentences.begin(), verdict->sentences.end(), [](const std::string& s) {
        return s.find("The data are compatible with a fall between -0.") == 0;
      });
  ASSERT_NE(found, verdict->sentences.end());
  EXPECT_NE(found->find("; a fall of 0.10 cannot be excluded. This shows neither that the model "
                        "holds nor that it fails."),
            std::string::npos);
}

TEST(Verdict, OneCenterWithACertainFallIsEnoughForNotReady) {
  VerdictInput input = GoodStudy();
  input.centers[1] = Center("b", 0.82, 0.62, 4e-4);
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kNotReady);
  EXPECT_EQ(verdict->criteria[1].status, CriterionStatus::kFailed);
  EXPECT_NE(verdict->criteria[1].finding.find("At b the fall is 0.20"), std::string::npos);
}

TEST(Verdict, ACertainFallCountsEvenWhereNothingCanBePooled) {
  VerdictInput input = GoodStudy();
  input.centers = {Center("only", 0.82, 0.62, 4e-4)};
  EXPECT_EQ(Judge(input)->word, VerdictWord::kNotReady);
}

TEST(Verdict, ACenterThatDoesNotCountCannotCondemn) {
  VerdictInput input = GoodStudy();
  input.centers.push_back(Center("own", 0.82, 0.55, 1e-5));
  input.centers.back().center.other_institution = false;
  EXPECT_EQ(Judge(input)->word, VerdictWord::kReady);
  input.centers.back().center.other_institution = true;
  input.centers.back().center.learned_from = true;
  EXPECT_EQ(Judge(input)->word, VerdictWord::kReady);
  input.centers.back().center.learned_from = false;
  EXPECT_EQ(Judge(input)->word, VerdictWord::kNotReady);
}

TEST(Verdict, AFallWhollyBeyondTheMarginIsNotReady) {
  VerdictInput input = GoodStudy();
  for (VerdictCenter& center : input.centers) center.center.external = Auc(200, 200, 0.65, 1e-4);
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kNotReady);
  EXPECT_GT(verdict->pooled_90->delta_interval->low, 0.10);
}

TEST(Verdict, ASmallFallFromALowHomeIsNotASuccess) {
  VerdictInput input = GoodStudy();
  input.centers = {Center("a", 0.57, 0.57, 4e-3), Center("b", 0.57, 0.58, 4e-3),
                   Center("c", 0.57, 0.52, 4e-3), Center("d", 0.57, 0.55, 4e-3)};
  input.margin = 0.15;
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kInsufficientEvidence);
  EXPECT_EQ(verdict->criteria[1].status, CriterionStatus::kPassed);
  EXPECT_EQ(verdict->criteria[2].status, CriterionStatus::kOpen);
  EXPECT_TRUE(Says(*verdict,
                   "Discrimination did not fall, but it was low at home (0.57); a small fall is "
                   "not a success."));
  EXPECT_EQ(verdict->sentences.front(), "Insufficient evidence: C3 worth having is open.");
}

TEST(Verdict, AnAucFloorAboveTheAucFails) {
  VerdictInput input = GoodStudy();
  input.auc_floor = 0.95;
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kNotReady);
  EXPECT_EQ(verdict->criteria[2].status, CriterionStatus::kFailed);
  input.auc_floor = 0;  // never below one half
  EXPECT_NE(Judge(input)->criteria[2].finding.find("wholly above 0.50"), std::string::npos);
}

TEST(Verdict, NetBenefitLikeTreatAllIsOpenAtItsThreshold) {
  VerdictInput input = GoodStudy();
  for (VerdictCenter& center : input.centers) center.counts = {LikeAll(0.2)};
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kInsufficientEvidence);
  EXPECT_EQ(verdict->criteria[3].status, CriterionStatus::kOpen);
  EXPECT_TRUE(Says(*verdict, "Net benefit not distinguishable from treat-all at 0.20."));
  ASSERT_EQ(verdict->net_benefit.size(), 2);
  EXPECT_GT(verdict->net_benefit[0].lower, 0);  // against none it is clear
}

TEST(Verdict, EverybodyTreatedIsNotDistinguishableFromTreatAll) {
  VerdictInput input = GoodStudy();
  for (VerdictCenter& center : input.centers) center.counts = {{0.2, 400, 200, 200, 200}};
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->criteria[3].status, CriterionStatus::kOpen);
  EXPECT_TRUE(Says(*verdict, "Net benefit not distinguishable from treat-all at 0.20."));
}

TEST(Verdict, HarmfulNetBenefitIsNotReady) {
  VerdictInput input = GoodStudy();
  for (VerdictCenter& center : input.centers) center.counts = {{0.2, 400, 200, 100, 180}};
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kNotReady);
  EXPECT_TRUE(Says(*verdict, "Net benefit below treat-all at 0.20."));
}

TEST(Verdict, AMissingThresholdOpensUsefulness) {
  VerdictInput input = GoodStudy();
  input.centers[0].counts.clear();
  const auto verdict = Judge(input);
  EXPECT_EQ(verdict->word, VerdictWord::kInsufficientEvidence);
  EXPECT_NE(verdict->criteria[3].finding.find("at 0.20 a released no counts"), std::string::npos);
  input.thresholds.clear();
  EXPECT_EQ(Judge(input)->criteria[3].status, CriterionStatus::kOpen);
}

TEST(Verdict, ACenterThatDidNotAnswerIsNamed) {
  VerdictInput input = GoodStudy();
  input.centers[1].center.external.reset();
  input.centers[1].center.absence = "did not answer";
  EXPECT_TRUE(Says(*Judge(input),
                   "Insufficient evidence: 2 of 3 required centers count; b does not (did not "
                   "answer)."));
}

TEST(Verdict, RefusesRulesOutsideTheirRange) {
  VerdictInput input = GoodStudy();
  input.margin = 0;
  EXPECT_EQ(Judge(input).error().code, ErrorCode::kInvalidArgument);
  input = GoodStudy();
  input.auc_floor = 1;
  EXPECT_FALSE(Judge(input).has_value());
  input = GoodStudy();
  input.thresholds = {0.2, 1};
  EXPECT_FALSE(Judge(input).has_value());
}

TEST(Verdict, SubgroupsBelowTheMinimumAreSaidNotOmitted) {
  EXPECT_EQ(NotEstimable("women under 50", 4, 30),
            "Not estimable in women under 50: 4 events (minimum 10).");
  EXPECT_EQ(NotEstimable("men", 30, 1), "Not estimable in men: 1 non-event (minimum 10).");
  EXPECT_FALSE(NotEstimable("all", 10, 10).has_value());
}

TEST(Degradation, CountingNeedsTenOfEachClass) {
  HeldOutCenter center = Center("a", 0.8, 0.8, 1e-3).center;
  center.external = Auc(10, 10, 0.8, 1e-2);
  EXPECT_FALSE(WhyNotCounting(center).has_value());
  center.external = Auc(9, 10, 0.8, 1e-2);
  EXPECT_EQ(WhyNotCounting(center), "9 events");
  center.external = Auc(9, 3, 0.8, 1e-2);
  EXPECT_EQ(WhyNotCounting(center), "9 events, 3 non-events");
  center.external = Auc(20, 20, 1, 0);
  EXPECT_EQ(WhyNotCounting(center), "its AUC has no variance");
}

TEST(Degradation, PoolingRefusesFewerThanThreeCenters) {
  std::vector<HeldOutCenter> centers = {Center("a", 0.8, 0.8, 1e-3).center,
                                        Center("b", 0.8, 0.7, 1e-3).center};
  const auto pooled = PoolDegradation(centers);
  ASSERT_FALSE(pooled.has_value());
  EXPECT_EQ(pooled.error().code, ErrorCode::kFailedPrecondition);
}

TEST(Degradation, HasTheSignOfAFall) {
  const auto worse = DegradationAt(Center("a", 0.8, 0.7, 1e-3).center);
  ASSERT_TRUE(worse.has_value());
  EXPECT_NEAR(worse->delta, 0.1, 1e-12);
  EXPECT_LT(worse->interval->low, 0.1);
  EXPECT_GT(worse->interval->high, 0.1);
  HeldOutCenter silent = Center("a", 0.8, 0.7, 1e-3).center;
  silent.internal->variance.reset();
  EXPECT_FALSE(DegradationAt(silent)->interval.has_value());
  silent.external.reset();
  EXPECT_FALSE(DegradationAt(silent).has_value());
}

}  // namespace
}  // namespace consilium::learning
