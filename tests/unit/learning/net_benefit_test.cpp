#include "learning/net_benefit.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

#include "base/rng.h"

namespace consilium::learning {
namespace {

struct Rows {
  std::vector<double> probabilities;
  std::vector<double> outcome;
};

Rows RandomRows(std::uint64_t seed, int count) {
  Rng rng(seed, "net benefit rows");
  Rows rows;
  for (int i = 0; i < count; ++i) {
    const double p = rng.Uniform();
    rows.probabilities.push_back(p);
    rows.outcome.push_back(rng.Chance(0.2 + 0.6 * p) ? 1 : 0);
  }
  return rows;
}

ThresholdCounts At(const Rows& rows, double threshold) {
  return CountAtThresholds(rows.probabilities, rows.outcome, std::vector<double>{threshold})
      ->front();
}

TEST(NetBenefit, RowMeansAndVariancesEqualThoseOfTheRowsThemselves) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const Rows rows = RandomRows(seed, *rc::gen::inRange(2, 60));
    const double t = 0.05 + 0.01 * *rc::gen::inRange(0, 90);
    const double w = t / (1 - t);
    const ThresholdCounts counts = At(rows, t);
    for (const Against against : {Against::kNone, Against::kAll}) {
      std::vector<double> v;
      double mean = 0;
      for (std::size_t i = 0; i < rows.outcome.size(); ++i) {
        const double treated = rows.probabilities[i] >= t ? 1 : 0;
        const double y = rows.outcome[i];
        v.push_back((against == Against::kNone ? treated : treated - 1) * (y - (1 - y) * w));
        mean += v.back() / static_cast<double>(rows.outcome.size());
      }
      double spread = 0;
      for (const double value : v) spread += (value - mean) * (value - mean);
      const double n = static_cast<double>(v.size());
      const auto effect = MeanAgainst(SumsAgainst(counts, against));
      RC_ASSERT(effect.has_value());
      RC_ASSERT(std::fabs(effect->value - mean) <= 1e-13 * (1 + w));
      RC_ASSERT(std::fabs(effect->variance - spread / (n - 1) / n) <= 1e-12 * (1 + w * w));
    }
    const double none = MeanAgainst(SumsAgainst(counts, Against::kNone))->value;
    const double all = MeanAgainst(SumsAgainst(counts, Against::kAll))->value;
    RC_ASSERT(std::fabs(none - NetBenefit(counts)) <= 1e-13 * (1 + w));
    RC_ASSERT(std::fabs(none - all - NetBenefitOfTreatingAll(counts)) <= 1e-13 * (1 + w));
  }));
}

TEST(NetBenefit, ARowAtTheThresholdIsTreated) {
  const Rows rows{{0.2, 0.19999999999999998}, {1, 1}};
  EXPECT_EQ(At(rows, 0.2).true_positives, 1);
}

TEST(NetBenefit, OfTreatingEverybodyDoesNotVaryAgainstAll) {
  const Rows rows{{0.9, 0.8, 0.7}, {1, 0, 1}};
  const auto effect = MeanAgainst(SumsAgainst(At(rows, 0.1), Against::kAll));
  EXPECT_EQ(effect->value, 0);
  EXPECT_EQ(effect->variance, 0);
  const auto compared =
      CompareOverCenters({{"a", At(rows, 0.1)}, {"b", At(RandomRows(1, 40), 0.1)}}, Against::kAll);
  ASSERT_FALSE(compared.has_value());
  EXPECT_EQ(compared.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(compared.error().message.find("center a"), std::string::npos);
}

TEST(NetBenefit, ReleasedThresholdsNeverDifferByASmallCell) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const Rows rows = RandomRows(seed, *rc::gen::inRange(1, 80));
    const int min_cell = *rc::gen::inRange(1, 12);
    std::vector<double> grid;
    for (int i = 1; i < 100; ++i) grid.push_back(i / 100.0);
    const auto counts = CountAtThresholds(rows.probabilities, rows.outcome, grid);
    const std::vector<double> first = {0.3, 0.5};
    const auto released = MergeThresholds(*counts, first, min_cell);
    RC_ASSERT(released.has_value());
    std::int64_t before = static_cast<std::int64_t>(rows.outcome.size());
    double threshold = 0;
    for (const ThresholdCounts& at : *released) {
      RC_ASSERT(at.threshold > threshold);
      const std::int64_t cell = before - at.treated();
      RC_ASSERT(cell == 0 || cell >= min_cell);
      before = at.treated();
      threshold = at.threshold;
    }
    if (!released->empty()) RC_ASSERT(before == 0 || before >= min_cell);
    if (min_cell == 1) RC_ASSERT(released->size() == grid.size());
  }));
}

TEST(NetBenefit, PreregisteredThresholdsComeFirst) {
  // Ten rows; with cells of 4 only one of two close thresholds can be released.
  Rows rows;
  for (int i = 0; i < 10; ++i) {
    rows.probabilities.push_back(0.05 + 0.1 * i);
    rows.outcome.push_back(i % 2);
  }
  const auto counts =
      CountAtThresholds(rows.probabilities, rows.outcome, std::vector<double>{0.4, 0.5, 0.6});
  const auto released = MergeThresholds(*counts, std::vector<double>{0.5}, 4);
  ASSERT_EQ(released->size(), 1);
  EXPECT_EQ(released->front().threshold, 0.5);
}

TEST(NetBenefit, RefusesThresholdsAndProbabilitiesOutsideTheirRange) {
  const std::vector<double> p = {0.2, 0.4};
  const std::vector<double> y = {0, 1};
  for (const double t : {0.0, 1.0, -0.1, std::nan("")}) {
    EXPECT_FALSE(CountAtThresholds(p, y, std::vector<double>{t}).has_value()) << t;
  }
  const std::vector<double> t = {0.5};
  EXPECT_FALSE(CountAtThresholds(std::vector<double>{0.2, 1.2}, y, t).has_value());
  EXPECT_FALSE(CountAtThresholds(p, std::vector<double>{0, 2}, t).has_value());
  EXPECT_FALSE(CountAtThresholds(p, std::vector<double>{0}, t).has_value());
  EXPECT_FALSE(CountAtThresholds({}, {}, t).has_value());
}

TEST(NetBenefit, ComparesOneThresholdAtATime) {
  const Rows rows = RandomRows(5, 60);
  const auto compared =
      CompareOverCenters({{"a", At(rows, 0.3)}, {"b", At(rows, 0.4)}}, Against::kNone);
  ASSERT_FALSE(compared.has_value());
  EXPECT_EQ(compared.error().code, ErrorCode::kInvalidArgument);
}

TEST(NetBenefit, OneSidedLimitsAreThoseOfTheTwoSidedNinetyPercentInterval) {
  std::map<std::string, ThresholdCounts> centers;
  std::vector<CenterEffect> effects;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const ThresholdCounts counts = At(RandomRows(seed, 80), 0.4);
    centers.emplace("center " + std::to_string(seed), counts);
    effects.push_back(*MeanAgainst(SumsAgainst(counts, Against::kAll)));
  }
  const auto compared = CompareOverCenters(centers, Against::kAll);
  ASSERT_TRUE(compared.has_value());
  RandomEffectsOptions options;
  options.level = 0.90;
  const auto expected = CombineEffects(effects, options);
  EXPECT_EQ(compared->lower, expected->interval.low);
  EXPECT_EQ(compared->upper, expected->interval.high);
  EXPECT_EQ(compared->threshold, 0.4);
}

}  // namespace
}  // namespace consilium::learning
