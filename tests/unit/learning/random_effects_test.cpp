#include "learning/random_effects.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/distributions.h"
#include "base/rng.h"

namespace consilium::learning {
namespace {

std::vector<CenterEffect> RandomEffectsOf(std::uint64_t seed, int k, double tau) {
  Rng rng(seed, "effects");
  std::vector<CenterEffect> effects;
  for (int i = 0; i < k; ++i) {
    const double v = 0.005 + 0.2 * rng.Uniform();
    effects.push_back({0.8 + tau * rng.Normal() + std::sqrt(v) * rng.Normal(), v});
  }
  return effects;
}

// Minus twice the restricted log likelihood, up to a constant.
double RestrictedDeviance(const std::vector<CenterEffect>& effects, double tau2) {
  double w = 0;
  double wy = 0;
  double logs = 0;
  for (const CenterEffect& e : effects) {
    w += 1 / (e.variance + tau2);
    wy += e.value / (e.variance + tau2);
    logs += std::log(e.variance + tau2);
  }
  double q = 0;
  for (const CenterEffect& e : effects) {
    q += (e.value - wy / w) * (e.value - wy / w) / (e.variance + tau2);
  }
  return logs + std::log(w) + q;
}

TEST(RandomEffects, RemlIsAMaximumOfTheRestrictedLikelihood) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const int k = *rc::gen::inRange(2, 12);
    const double tau = 0.1 * *rc::gen::inRange(0, 12);
    const auto effects = RandomEffectsOf(seed, k, tau);
    const auto fit = CombineEffects(effects);
    RC_ASSERT(fit.has_value());
    const double best = RestrictedDeviance(effects, fit->tau2);
    const double step = 1e-4 * (fit->tau2 + 0.01);
    RC_ASSERT(RestrictedDeviance(effects, fit->tau2 + step) >= best - 1e-12);
    if (fit->tau2 > step) RC_ASSERT(RestrictedDeviance(effects, fit->tau2 - step) >= best - 1e-12);
  }));
}

TEST(RandomEffects, EqualVariancesGiveTheTextbookAnswer) {
  const std::vector<CenterEffect> effects = {{1, 0.1}, {2, 0.1}, {4, 0.1}};
  const auto fit = CombineEffects(effects);
  ASSERT_TRUE(fit.has_value());
  const double spread = (16.0 / 9 + 1.0 / 9 + 25.0 / 9) / 2;  // sample variance of 1, 2, 4
  EXPECT_NEAR(fit->mu, 7.0 / 3, 1e-15);
  EXPECT_NEAR(fit->tau2, spread - 0.1, 1e-12);
  EXPECT_NEAR(fit->se, std::sqrt(spread / 3), 1e-12);
  EXPECT_NEAR(fit->interval.high - fit->mu, StudentTTwoSided(0.95, 2) * fit->se, 1e-12);
}

TEST(RandomEffects, AgreeingCentersHaveNoSpreadAndAreNeverNarrowerThanNormal) {
  const std::vector<CenterEffect> effects = {{1.00, 0.2}, {1.01, 0.3}, {0.99, 0.1}, {1, 0.2}};
  RandomEffectsOptions options;
  const auto guarded = CombineEffects(effects, options);
  options.test = MeanTest::kNormal;
  const auto normal = CombineEffects(effects, options);
  options.test = MeanTest::kHartungKnapp;
  const auto plain = CombineEffects(effects, options);
  EXPECT_EQ(guarded->tau2, 0);
  EXPECT_EQ(guarded->i2, 0);
  EXPECT_EQ(guarded->se, normal->se);  // the factor is held at 1, the quantile is Student's
  EXPECT_LT(guarded->interval.low, normal->interval.low);
  EXPECT_LT(plain->se, normal->se);  // what the guard is for
}

TEST(RandomEffects, ShiftAndScaleCarryOver) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const auto effects = RandomEffectsOf(seed, 5, 0.5);
    std::vector<CenterEffect> moved;
    for (const CenterEffect& e : effects) moved.push_back({2 * e.value + 3, 4 * e.variance});
    const auto a = CombineEffects(effects);
    const auto b = CombineEffects(moved);
    RC_ASSERT(std::fabs(b->mu - (2 * a->mu + 3)) < 1e-10);
    RC_ASSERT(std::fabs(b->tau2 - 4 * a->tau2) < 1e-9 * (1 + a->tau2));
    RC_ASSERT(std::fabs(b->q - a->q) < 1e-9 * (1 + a->q));
  }));
}

TEST(RandomEffects, PredictionIsWiderThanTheIntervalOfTheMean) {
  const auto fit = CombineEffects(RandomEffectsOf(3, 4, 0.6));
  EXPECT_LT(fit->prediction->low, fit->interval.low);
  EXPECT_LT(fit->prediction_hts->low, fit->prediction->low);
  EXPECT_FALSE(CombineEffects(RandomEffectsOf(3, 2, 0.6))->prediction_hts.has_value());
}

TEST(RandomEffects, RefusesWhatCannotBeWeighted) {
  EXPECT_EQ(CombineEffects(std::vector<CenterEffect>{{1, 0.1}}).error().code,
            ErrorCode::kFailedPrecondition);
  const auto zero = CombineEffects(std::vector<CenterEffect>{{1, 0.1}, {2, 0}});
  ASSERT_FALSE(zero.has_value());
  EXPECT_NE(zero.error().message.find("center 2 of 2"), std::string::npos);
  RandomEffectsOptions options;
  options.level = 1;
  EXPECT_EQ(CombineEffects(RandomEffectsOf(1, 3, 0.1), options).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace consilium::learning
