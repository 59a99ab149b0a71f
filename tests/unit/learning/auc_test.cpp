#include "learning/auc.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

#include "base/portable_math.h"
#include "base/rng.h"

namespace consilium::learning {
namespace {

struct Rows {
  std::vector<double> scores;
  std::vector<double> outcome;
};

// Scores on a coarse grid when `levels` is small: ties are the rule, not the exception.
Rows RandomRows(std::uint64_t seed, int count, int levels) {
  Rng rng(seed, "auc rows");
  Rows rows;
  for (int i = 0; i < count; ++i) {
    const bool event = rng.Chance(0.4);
    const double score = rng.Normal() + (event ? 0.7 : 0);
    rows.scores.push_back(std::floor(score * levels) / levels);
    rows.outcome.push_back(event ? 1 : 0);
  }
  return rows;
}

// The slow twin: every pair, and two-pass variances of the placements.
AucComponents ByPairs(const Rows& rows) {
  AucComponents slow;
  std::vector<double> events;
  std::vector<double> nonevents;
  for (std::size_t i = 0; i < rows.scores.size(); ++i) {
    (rows.outcome[i] == 1 ? events : nonevents).push_back(rows.scores[i]);
  }
  slow.events = static_cast<std::int64_t>(events.size());
  slow.nonevents = static_cast<std::int64_t>(nonevents.size());
  const auto wins = [](double a, double b) { return a > b ? 1.0 : a == b ? 0.5 : 0.0; };
  const auto variance = [](const std::vector<double>& values) {
    double mean = 0;
    for (const double v : values) mean += v / static_cast<double>(values.size());
    double sum = 0;
    for (const double v : values) sum += (v - mean) * (v - mean);
    return values.size() < 2 ? 0 : sum / static_cast<double>(values.size() - 1);
  };
  std::vector<double> v10;
  std::vector<double> v01;
  for (const double e : events) {
    double sum = 0;
    for (const double n : nonevents) sum += wins(e, n);
    slow.u += sum;
    v10.push_back(sum / static_cast<double>(nonevents.size()));
  }
  for (const double n : nonevents) {
    double sum = 0;
    for (const double e : events) sum += wins(e, n);
    v01.push_back(sum / static_cast<double>(events.size()));
  }
  if (!events.empty() && !nonevents.empty()) {
    slow.s10 = variance(v10);
    slow.s01 = variance(v01);
  }
  return slow;
}

bool SameBits(const AucComponents& a, const AucComponents& b) {
  return a.events == b.events && a.nonevents == b.nonevents && a.u == b.u && a.s10 == b.s10 &&
         a.s01 == b.s01;
}

TEST(Auc, EqualsTheCountOverEveryPair) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const int count = *rc::gen::inRange(1, 60);
    const Rows rows = RandomRows(seed, count, *rc::gen::inRange(1, 30));
    const auto fast = ComputeAuc(rows.scores, rows.outcome);
    RC_ASSERT(fast.has_value());
    const AucComponents slow = ByPairs(rows);
    RC_ASSERT(fast->events == slow.events);
    RC_ASSERT(fast->nonevents == slow.nonevents);
    RC_ASSERT(fast->u == slow.u);
    RC_ASSERT(std::fabs(fast->s10 - slow.s10) < 1e-14);
    RC_ASSERT(std::fabs(fast->s01 - slow.s01) < 1e-14);
  }));
}

TEST(Auc, DoesNotDependOnTheOrderOfTheRows) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const Rows rows = RandomRows(seed, *rc::gen::inRange(2, 80), 4);
    std::vector<std::size_t> order(rows.scores.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    Rng(seed, "order").Shuffle(order);
    Rows shuffled;
    for (const std::size_t i : order) {
      shuffled.scores.push_back(rows.scores[i]);
      shuffled.outcome.push_back(rows.outcome[i]);
    }
    RC_ASSERT(SameBits(*ComputeAuc(rows.scores, rows.outcome),
                       *ComputeAuc(shuffled.scores, shuffled.outcome)));
  }));
}

TEST(Auc, DoesNotDependOnAnIncreasingTransformation) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const Rows rows = RandomRows(seed, *rc::gen::inRange(2, 80), 8);
    Rows transformed = rows;
    for (double& score : transformed.scores) score = Exp(score) * 3 - 2;
    RC_ASSERT(SameBits(*ComputeAuc(rows.scores, rows.outcome),
                       *ComputeAuc(transformed.scores, rows.outcome)));
  }));
}

TEST(Auc, OfReversedScoresIsOneMinusIt) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const Rows rows = RandomRows(seed, *rc::gen::inRange(2, 80), 4);
    std::vector<double> reversed;
    for (const double score : rows.scores) reversed.push_back(-score);
    const AucComponents forth = *ComputeAuc(rows.scores, rows.outcome);
    const AucComponents back = *ComputeAuc(reversed, rows.outcome);
    RC_ASSERT(forth.u + back.u == forth.pairs());
    RC_ASSERT(forth.s10 == back.s10);
    RC_ASSERT(forth.s01 == back.s01);
  }));
}

TEST(Auc, ConstantScoresAreWorthAHalfWithoutAnInterval) {
  const AucComponents auc =
      *ComputeAuc(std::vector<double>(5, 0.3), std::vector<double>{1, 0, 1, 0, 0});
  EXPECT_EQ(AucValue(auc), 0.5);
  EXPECT_EQ(AucVariance(auc), 0.0);
  EXPECT_FALSE(AucLogitInterval(auc).has_value());
  EXPECT_FALSE(AucWaldInterval(auc).has_value());
}

TEST(Auc, SeparatedClassesHaveNoInterval) {
  const AucComponents auc =
      *ComputeAuc(std::vector<double>{3, 4, 1, 2}, std::vector<double>{1, 1, 0, 0});
  EXPECT_EQ(AucValue(auc), 1.0);
  EXPECT_FALSE(AucLogitInterval(auc).has_value());
}

TEST(Auc, OneNonEventGivesAValueButNoVariance) {
  const AucComponents auc =
      *ComputeAuc(std::vector<double>{3, 1, 4, 2}, std::vector<double>{1, 1, 1, 0});
  EXPECT_DOUBLE_EQ(*AucValue(auc), 2.0 / 3);
  EXPECT_GT(auc.s10, 0);
  EXPECT_FALSE(AucVariance(auc).has_value());
}

TEST(Auc, OneClassOnlyHasNoAuc) {
  const AucComponents auc = *ComputeAuc(std::vector<double>{3, 1}, std::vector<double>{1, 1});
  EXPECT_EQ(auc.events, 2);
  EXPECT_FALSE(AucValue(auc).has_value());
  const AucComponents none = *ComputeAuc({}, {});
  EXPECT_FALSE(AucValue(none).has_value());
}

TEST(Auc, RefusesWhatIsNotAScoreOrAnOutcomeAndNamesTheRow) {
  const double nan = std::nan("");
  const auto missing = ComputeAuc(std::vector<double>{1, nan}, std::vector<double>{1, 0});
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(missing.error().message.find("row 2"), std::string::npos);
  EXPECT_FALSE(ComputeAuc(std::vector<double>{1, 2}, std::vector<double>{1, 2}).has_value());
  EXPECT_FALSE(ComputeAuc(std::vector<double>{1, 2}, std::vector<double>{1, nan}).has_value());
  EXPECT_FALSE(ComputeAuc(std::vector<double>{1}, std::vector<double>{1, 0}).has_value());
}

TEST(Auc, AScoreAgainstItselfOrItsTransformationDiffersByNothing) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const Rows rows = RandomRows(seed, 40, 8);
    std::vector<double> transformed;
    for (const double score : rows.scores) transformed.push_back(2 * score + 1);
    const auto paired = ComputePairedAuc(rows.scores, transformed, rows.outcome);
    RC_ASSERT(paired.has_value());
    RC_ASSERT(paired->c10 == paired->first.s10);
    RC_ASSERT(paired->c01 == paired->first.s01);
    RC_ASSERT(!DifferenceOfAucs(*paired).has_value());  // no variance, no test
  }));
}

TEST(Auc, DifferencesOfCentersCombineByTheirPairs) {
  const Rows a = RandomRows(1, 50, 50);
  const Rows b = RandomRows(2, 70, 50);
  const Rows noise = RandomRows(3, 120, 50);
  const std::span<const double> other = noise.scores;
  const PairedAucComponents one = *ComputePairedAuc(a.scores, other.first(50), a.outcome);
  const PairedAucComponents two = *ComputePairedAuc(b.scores, other.last(70), b.outcome);
  const AucDifference first = *DifferenceOfAucs(one);
  const AucDifference second = *DifferenceOfAucs(two);
  const double share = one.first.pairs() / (one.first.pairs() + two.first.pairs());
  const auto both = CombineDifferences({{"a", one}, {"b", two}});
  ASSERT_TRUE(both.has_value());
  EXPECT_NEAR(both->value, share * first.value + (1 - share) * second.value, 1e-15);
  EXPECT_NEAR(both->variance,
              share * share * first.variance + (1 - share) * (1 - share) * second.variance, 1e-17);
  EXPECT_FALSE(CombineDifferences({}).has_value());
}

TEST(InternalAuc, CountsPairsInsideCentersOnly) {
  // Inside each center the score is useless; between the centers it looks perfect.
  const std::vector<double> low = {1, 1, 1, 1};
  const std::vector<double> high = {9, 9, 9, 9};
  const AucComponents few = *ComputeAuc(low, std::vector<double>{1, 0, 0, 0});
  const AucComponents many = *ComputeAuc(high, std::vector<double>{1, 1, 1, 0});
  EXPECT_EQ(CombineWithinCenters({{"few", few}, {"many", many}})->value, 0.5);
}

TEST(InternalAuc, OfOneCenterIsThatCentersAuc) {
  const Rows rows = RandomRows(4, 60, 20);
  const AucComponents auc = *ComputeAuc(rows.scores, rows.outcome);
  const InternalAuc internal = *CombineWithinCenters({{"only", auc}});
  EXPECT_EQ(internal.value, *AucValue(auc));
  EXPECT_NEAR(*internal.variance, *AucVariance(auc), 1e-17);
  EXPECT_NEAR(internal.interval->low, AucLogitInterval(auc)->low, 1e-14);
  EXPECT_NEAR(internal.interval->high, AucLogitInterval(auc)->high, 1e-14);
}

TEST(InternalAuc, NamesCentersThatLendNoVarianceOrNoPairs) {
  const AucComponents good{10, 20, 150, 0.05, 0.04};
  const AucComponents single{45, 1, 41, 0.08, 0};
  const AucComponents empty{7, 0, 0, 0, 0};
  const InternalAuc internal =
      *CombineWithinCenters({{"good", good}, {"single", single}, {"empty", empty}});
  EXPECT_DOUBLE_EQ(internal.value, (150.0 + 41) / (200 + 45));
  EXPECT_EQ(internal.without_variance, std::vector<std::string>{"single"});
  EXPECT_EQ(internal.without_pairs, std::vector<std::string>{"empty"});
  // The divisor counts every pair, so the center without a variance makes V_int smaller, not
  // larger.
  EXPECT_DOUBLE_EQ(*internal.variance, 200.0 * 200 * (0.05 / 10 + 0.04 / 20) / (245.0 * 245));
}

TEST(InternalAuc, WithoutAnyPairIsAnError) {
  const auto internal = CombineWithinCenters({{"a", AucComponents{7, 0, 0, 0, 0}}});
  ASSERT_FALSE(internal.has_value());
  EXPECT_EQ(internal.error().code, ErrorCode::kFailedPrecondition);
}

TEST(MergedRoc, EveryStepHoldsAtLeastTheMinimumCell) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const int min_cell = *rc::gen::inRange(1, 12);
    const Rows rows = RandomRows(seed, *rc::gen::inRange(min_cell, 120), *rc::gen::inRange(1, 40));
    const auto points = MergedRoc(rows.scores, rows.outcome, min_cell);
    RC_ASSERT(points.has_value());
    const AucComponents auc = *ComputeAuc(rows.scores, rows.outcome);
    RC_ASSERT(points->front() == (RocPoint{0, 0}));
    RC_ASSERT(points->back() == (RocPoint{auc.events, auc.nonevents}));
    double trapezoids = 0;
    for (std::size_t i = 1; i < points->size(); ++i) {
      const std::int64_t events = (*points)[i].events - (*points)[i - 1].events;
      const std::int64_t nonevents = (*points)[i].nonevents - (*points)[i - 1].nonevents;
      RC_ASSERT(events >= 0);
      RC_ASSERT(nonevents >= 0);
      RC_ASSERT(events + nonevents >= min_cell);
      trapezoids += static_cast<double>(nonevents) * (static_cast<double>((*points)[i - 1].events) +
                                                      0.5 * static_cast<double>(events));
    }
    if (min_cell == 1) RC_ASSERT(trapezoids == auc.u);  // nothing merged: the exact area
  }));
}

TEST(MergedRoc, FewerRowsThanTheMinimumLeaveTheTwoEnds) {
  const auto points = MergedRoc(std::vector<double>{1, 2, 3}, std::vector<double>{0, 1, 1}, 5);
  EXPECT_EQ(*points, (std::vector<RocPoint>{{0, 0}, {2, 1}}));
  EXPECT_FALSE(MergedRoc(std::vector<double>{1}, std::vector<double>{0}, 0).has_value());
}

TEST(HistogramAuc, LiesWithinItsBoundAndAddsOverCenters) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    Rows rows = RandomRows(seed, 80, 1000);
    rows.outcome[0] = 1;
    rows.outcome[1] = 0;
    for (double& score : rows.scores) score = Expit(score);
    const int bins = *rc::gen::inRange(1, 64);
    const std::span<const double> p = rows.scores;
    const std::span<const double> y = rows.outcome;
    const ScoreHistogram whole = *HistogramOfScores(p, y, bins);
    ScoreHistogram sum = *HistogramOfScores(p.first(30), y.first(30), bins);
    const ScoreHistogram rest = *HistogramOfScores(p.last(50), y.last(50), bins);
    for (std::size_t b = 0; b < sum.events.size(); ++b) {
      sum.events[b] += rest.events[b];
      sum.nonevents[b] += rest.nonevents[b];
    }
    RC_ASSERT(sum.events == whole.events);
    RC_ASSERT(sum.nonevents == whole.nonevents);
    const HistogramAuc auc = *AucOfHistogram(sum);
    const double exact = *AucValue(*ComputeAuc(p, y));
    RC_ASSERT(std::fabs(auc.value - exact) <= auc.error_bound + 1e-15);
    if (bins == 1) RC_ASSERT(auc.value == 0.5);
  }));
}

TEST(HistogramAuc, KeepsTheEndsOfTheScaleAndRefusesTheRest) {
  const ScoreHistogram ends =
      *HistogramOfScores(std::vector<double>{0, 1}, std::vector<double>{0, 1}, 4);
  EXPECT_EQ(ends.nonevents, (std::vector<std::int64_t>{1, 0, 0, 0}));
  EXPECT_EQ(ends.events, (std::vector<std::int64_t>{0, 0, 0, 1}));
  EXPECT_EQ(AucOfHistogram(ends)->value, 1);
  EXPECT_EQ(AucOfHistogram(ends)->error_bound, 0);
  EXPECT_FALSE(HistogramOfScores(std::vector<double>{1.01}, std::vector<double>{1}).has_value());
  EXPECT_FALSE(
      HistogramOfScores(std::vector<double>{std::nan("")}, std::vector<double>{1}).has_value());
  EXPECT_FALSE(AucOfHistogram({{1, 2}, {0, 0}}).has_value());
  EXPECT_FALSE(AucOfHistogram({{1, -2}, {1, 0}}).has_value());
  EXPECT_FALSE(AucOfHistogram({{1}, {1, 0}}).has_value());
}

TEST(Intervals, OnTheLogitScaleStayInsideZeroAndOne) {
  const auto interval = LogitInterval(0.98, 0.01);
  ASSERT_TRUE(interval.has_value());
  EXPECT_GT(interval->low, 0);
  EXPECT_LT(interval->high, 1);
  EXPECT_GT(WaldInterval(0.98, 0.01)->high, 1);
  EXPECT_FALSE(LogitInterval(1, 0.01).has_value());
  EXPECT_FALSE(LogitInterval(0.5, 0).has_value());
}

TEST(Intervals, MoverOfSymmetricIntervalsIsTheUsualDifference) {
  const Estimate a{0.8, {0.7, 0.9}};
  const Estimate b{0.6, {0.3, 0.9}};
  const Estimate difference = MoverDifference(a, b);
  const double half = std::sqrt(0.1 * 0.1 + 0.3 * 0.3);
  EXPECT_NEAR(difference.value, 0.2, 1e-15);
  EXPECT_NEAR(difference.interval.low, 0.2 - half, 1e-15);
  EXPECT_NEAR(difference.interval.high, 0.2 + half, 1e-15);
}

TEST(Intervals, WilsonsTouchTheEndsOnlyThere) {
  EXPECT_EQ(WilsonInterval(0, 10)->low, 0);
  EXPECT_EQ(WilsonInterval(10, 10)->high, 1);
  EXPECT_NEAR(WilsonInterval(0, 10)->high, 1 - WilsonInterval(10, 10)->low, 1e-15);
  EXPECT_FALSE(WilsonInterval(0, 0).has_value());
}

}  // namespace
}  // namespace consilium::learning
