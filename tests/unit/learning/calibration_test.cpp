#include "learning/calibration.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <vector>

#include "base/portable_math.h"
#include "base/rng.h"

namespace consilium::learning {
namespace {

struct Rows {
  std::vector<double> predictors;
  std::vector<double> outcome;
};

Rows RandomRows(std::uint64_t seed, int count, double intercept, double slope) {
  Rng rng(seed, "calibration rows");
  Rows rows;
  for (int i = 0; i < count; ++i) {
    const double l = 1.5 * rng.Normal() - 0.3;
    rows.predictors.push_back(l);
    rows.outcome.push_back(rng.Chance(Expit(intercept + slope * l)) ? 1 : 0);
  }
  return rows;
}

TEST(Calibration, SolvesTheScoreEquations) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    const Rows rows = RandomRows(seed, 200, 0.4, 0.7);
    const auto calibration = Calibrate(rows.predictors, rows.outcome);
    RC_ASSERT(calibration.has_value());
    RC_ASSERT(calibration->slope.has_value());
    double large = 0;
    double first = 0;
    double second = 0;
    for (std::size_t i = 0; i < rows.outcome.size(); ++i) {
      const double l = rows.predictors[i];
      const double y = rows.outcome[i];
      large += y - Expit(calibration->in_the_large->value + l);
      const double r = y - Expit(calibration->intercept->value + calibration->slope->value * l);
      first += r;
      second += r * l;
    }
    RC_ASSERT(std::fabs(large) < 1e-9);
    RC_ASSERT(std::fabs(first) < 1e-9);
    RC_ASSERT(std::fabs(second) < 1e-9);
  }));
}

TEST(Calibration, OfRecalibratedPredictorsIsPerfect) {
  const Rows rows = RandomRows(7, 300, -0.6, 1.8);
  const auto before = Calibrate(rows.predictors, rows.outcome);
  std::vector<double> corrected;
  for (const double l : rows.predictors) {
    corrected.push_back(before->intercept->value + before->slope->value * l);
  }
  const auto after = Calibrate(corrected, rows.outcome);
  EXPECT_NEAR(after->intercept->value, 0, 1e-10);
  EXPECT_NEAR(after->slope->value, 1, 1e-10);
  EXPECT_NEAR(after->in_the_large->value, 0, 1e-10);
  EXPECT_NEAR(ObservedOverExpected(*after)->value, 1, 1e-12);
  EXPECT_LT(after->brier, before->brier);
}

TEST(Calibration, OneClassLeavesOnlyExpectedAndBrier) {
  const auto calibration = Calibrate(std::vector<double>{0, 1}, std::vector<double>{1, 1});
  ASSERT_TRUE(calibration.has_value());
  EXPECT_DOUBLE_EQ(calibration->expected, 0.5 + Expit(1));
  EXPECT_FALSE(calibration->in_the_large.has_value());
  EXPECT_FALSE(calibration->slope.has_value());
  EXPECT_FALSE(calibration->scaled_brier.has_value());
  EXPECT_FALSE(ObservedOverExpected(*calibration).has_value());
}

TEST(Calibration, SeparatedClassesHaveNoSlopeButALevel) {
  const auto calibration =
      Calibrate(std::vector<double>{-2, -1, 1, 2}, std::vector<double>{0, 0, 1, 1});
  EXPECT_FALSE(calibration->slope.has_value());
  EXPECT_FALSE(calibration->intercept.has_value());
  EXPECT_NEAR(calibration->in_the_large->value, 0, 1e-12);
}

TEST(Calibration, AConstantPredictorHasNoSlope) {
  const auto calibration = Calibrate(std::vector<double>(4, 0.5), std::vector<double>{0, 1, 1, 0});
  EXPECT_FALSE(calibration->slope.has_value());
  EXPECT_NEAR(calibration->in_the_large->value, -0.5, 1e-12);
}

TEST(Calibration, HugePredictorsStillFindTheirLevel) {
  const auto calibration =
      Calibrate(std::vector<double>{600, -600, 550, -580}, std::vector<double>{0, 1, 1, 0});
  ASSERT_TRUE(calibration.has_value());
  EXPECT_NEAR(calibration->brier, 0.5, 1e-12);
  EXPECT_TRUE(calibration->slope.has_value());
}

TEST(Calibration, RefusesRowsWithoutPredictorOrOutcome) {
  EXPECT_FALSE(Calibrate({}, {}).has_value());
  EXPECT_FALSE(Calibrate(std::vector<double>{1}, std::vector<double>{1, 0}).has_value());
  EXPECT_FALSE(Calibrate(std::vector<double>{std::nan("")}, std::vector<double>{1}).has_value());
  const auto wrong = Calibrate(std::vector<double>{1, 2}, std::vector<double>{1, 0.5});
  ASSERT_FALSE(wrong.has_value());
  EXPECT_NE(wrong.error().message.find("row 2"), std::string::npos);
}

}  // namespace
}  // namespace consilium::learning
