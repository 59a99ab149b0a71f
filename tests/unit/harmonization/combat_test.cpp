#include "harmonization/combat.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"

namespace consilium::harmonization {
namespace {

Eigen::MatrixXd RandomRows(Eigen::Index rows, Eigen::Index features, std::uint64_t seed) {
  Rng rng(seed, "combat rows");
  Eigen::MatrixXd z(rows, features);
  for (Eigen::Index g = 0; g < features; ++g) {
    const double place = 0.5 * rng.Normal(), spread = 0.5 + rng.Uniform();
    for (Eigen::Index j = 0; j < rows; ++j) z(j, g) = place + spread * rng.Normal();
  }
  return z;
}

// alpha 0, beta 0, sigma 1: standardized values are the features themselves.
StandardizingModel Identity(Eigen::Index features, Eigen::Index covariates = 0) {
  return {Eigen::VectorXd::Zero(features), Eigen::VectorXd::Zero(features),
          Eigen::MatrixXd::Zero(covariates, features), Eigen::VectorXd::Ones(features)};
}

TEST(Shrink, FromSufficientStatisticsEqualsTheIterationOverRows) {
  const Eigen::MatrixXd z = RandomRows(23, 17, 5);
  const auto site = Shrink(Summarize(z));
  ASSERT_TRUE(site.has_value());
  // The slow twin: every sum of squares is taken over the rows again.
  const auto n = static_cast<double>(z.rows());
  Eigen::VectorXd gamma = site->gamma_hat, delta = site->delta_hat;
  for (int pass = 0; pass < site->iterations; ++pass) {
    for (Eigen::Index g = 0; g < z.cols(); ++g) {
      gamma(g) = (n * site->t2 * site->gamma_hat(g) + delta(g) * site->gamma_bar) /
                 (n * site->t2 + delta(g));
      const double squares = (z.col(g).array() - gamma(g)).square().sum();
      delta(g) = (0.5 * squares + site->b_prior) / (n / 2 + site->a_prior - 1);
    }
  }
  EXPECT_GT(site->iterations, 1);
  EXPECT_LE((gamma - site->gamma_star).cwiseAbs().maxCoeff(), 1e-13);
  EXPECT_LE((delta - site->delta_star).cwiseAbs().maxCoeff(), 1e-13);
}

TEST(Shrink, NegativeLocationsDoNotHoldTheReferenceStopRule) {
  // A location just below zero changes by a large factor in each pass; signed denominators ignore
  // it.
  LocationScale moments{Eigen::VectorXd::Constant(4, 10.0), Eigen::Vector4d(-1e-9, 0.5, 0.7, -1.0),
                        Eigen::Vector4d(0.8, 1.0, 1.1, 1.3)};
  const auto held = Shrink(moments);
  ASSERT_TRUE(held.has_value());
  const auto fixed_point = Shrink(
      moments, {Shrinkage::kEmpiricalBayes, Scaling::kLocationAndScale, StopRule::kConverged});
  ASSERT_TRUE(fixed_point.has_value());
  EXPECT_LE(held->last_change, 1e-4);
  EXPECT_LT(held->iterations, fixed_point->iterations);
  EXPECT_LE((held->gamma_star - fixed_point->gamma_star).cwiseAbs().maxCoeff(), 1e-3);
}

TEST(Shrink, ConvergedIsAFixedPointOfBothPosteriorMeans) {
  const Eigen::MatrixXd z = RandomRows(12, 30, 8);
  const auto site = Shrink(
      Summarize(z), {Shrinkage::kEmpiricalBayes, Scaling::kLocationAndScale, StopRule::kConverged});
  ASSERT_TRUE(site.has_value());
  for (Eigen::Index g = 0; g < z.cols(); ++g) {
    const double n = site->n(g), d = site->delta_star(g),
                 away = site->gamma_hat(g) - site->gamma_star(g);
    const double gamma =
        (n * site->t2 * site->gamma_hat(g) + d * site->gamma_bar) / (n * site->t2 + d);
    const double delta = (0.5 * ((n - 1) * site->delta_hat(g) + n * away * away) + site->b_prior) /
                         (n / 2 + site->a_prior - 1);
    EXPECT_NEAR(gamma, site->gamma_star(g), 1e-13);
    EXPECT_NEAR(delta, d, 1e-13);
  }
}

TEST(Shrink, MeanOnlyCountsAsOneRowAsTheReferenceProgramsDoAndMeanOnlyNAsAllRows) {
  LocationScale moments{Eigen::VectorXd::Constant(3, 30.0), Eigen::Vector3d(0.2, 0.4, 0.9),
                        Eigen::Vector3d(0.5, 1.0, 2.0)};
  const auto one = Shrink(moments, {Shrinkage::kEmpiricalBayes, Scaling::kMeanOnly, {}});
  const auto all = Shrink(moments, {Shrinkage::kEmpiricalBayes, Scaling::kMeanOnlyN, {}});
  ASSERT_TRUE(one.has_value() && all.has_value());
  const double mean = 0.5, t2 = 0.13;  // of 0.2, 0.4, 0.9
  EXPECT_NEAR(one->gamma_star(0), (t2 * 0.2 + mean) / (t2 + 1), 1e-15);
  EXPECT_NEAR(all->gamma_star(0), (30 * t2 * 0.2 + mean) / (30 * t2 + 1), 1e-15);
  EXPECT_EQ(one->delta_star, Eigen::VectorXd::Ones(3));
  EXPECT_EQ(one->iterations, 0);
}

TEST(Shrink, OneFeatureIsNotShrunkAndSaysSo) {
  LocationScale moments{Eigen::VectorXd::Constant(1, 9.0), Eigen::VectorXd::Constant(1, 0.3),
                        Eigen::VectorXd::Constant(1, 1.7)};
  const auto site = Shrink(moments);
  ASSERT_TRUE(site.has_value());
  EXPECT_EQ(site->gamma_star(0), 0.3);
  EXPECT_EQ(site->delta_star(0), 1.7);
  EXPECT_NE(site->notice.find("one feature"), std::string::npos);
}

TEST(Shrink, EqualSpreadsMakeThePriorAPointInsteadOfNotANumber) {
  LocationScale moments{Eigen::VectorXd::Constant(3, 9.0), Eigen::Vector3d(0.1, 0.2, 0.6),
                        Eigen::VectorXd::Constant(3, 1.5)};
  const auto site = Shrink(moments);
  ASSERT_TRUE(site.has_value());
  EXPECT_EQ(site->delta_star, Eigen::VectorXd::Constant(3, 1.5));
  EXPECT_TRUE(site->gamma_star.allFinite());
  EXPECT_FALSE(site->notice.empty());
}

TEST(Shrink, RefusesWhatItCannotEstimateAndNamesTheFeature) {
  const LocationScale good{Eigen::VectorXd::Constant(2, 9.0), Eigen::Vector2d(0.1, 0.2),
                           Eigen::Vector2d(1, 2)};
  LocationScale one_row = good;
  one_row.n(1) = 1;
  const auto few = Shrink(one_row);
  ASSERT_FALSE(few.has_value());
  EXPECT_EQ(few.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(few.error().message.find("feature 2"), std::string::npos);

  LocationScale broken = good;
  broken.gamma_hat(0) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(Shrink(broken).has_value());
  LocationScale negative = good;
  negative.delta_hat(0) = -1e-3;
  EXPECT_FALSE(Shrink(negative).has_value());
  LocationScale flat = good;
  flat.delta_hat(1) = 0;
  EXPECT_TRUE(Shrink(flat).has_value()) << "shrinkage gives it a scale";
  EXPECT_FALSE(Shrink(flat, {Shrinkage::kNone, Scaling::kLocationAndScale, {}}).has_value());
  EXPECT_FALSE(Shrink(LocationScale{}).has_value());
}

TEST(Summarize, LeavesMissingValuesOut) {
  Eigen::MatrixXd z(4, 2);
  const double missing = std::numeric_limits<double>::quiet_NaN();
  z << 1, missing, 2, missing, 3, missing, missing, missing;
  const LocationScale moments = Summarize(z);
  EXPECT_EQ(moments.n(0), 3);
  EXPECT_EQ(moments.gamma_hat(0), 2);
  EXPECT_EQ(moments.delta_hat(0), 1);
  EXPECT_EQ(moments.n(1), 0);
  EXPECT_EQ(moments.delta_hat(1), 0);
}

TEST(HasNoSpread, IsRelativeToTheMeanAndIndifferentToTheUnit) {
  const Eigen::Vector3d values(1, 2, 3);
  for (const double unit : {1e-200, 1e-9, 1.0, 1e10, 1e200}) {
    EXPECT_FALSE(HasNoSpread(unit * values)) << unit;
    EXPECT_TRUE(HasNoSpread(Eigen::Vector3d::Constant(0.1 * unit))) << unit;
  }
  EXPECT_TRUE(HasNoSpread(Eigen::Vector3d::Zero()));
  EXPECT_FALSE(HasNoSpread(Eigen::Vector3d(1e6, 1e6 + 1, 1e6 - 1)));
  EXPECT_TRUE(HasNoSpread(Eigen::Vector3d(1e9, 1e9 + 1e-6, 1e9)));
  EXPECT_TRUE(HasNoSpread(Eigen::VectorXd::Constant(1, 4.0)));
}

TEST(ApplyFrozen, ChoosesWhatTheRowsOfTheCenterCanCarry) {
  const FrozenOptions options;
  const auto frozen = [&](Eigen::Index rows) {
    const Eigen::MatrixXd y = RandomRows(rows, 6, 3);
    auto result = ApplyFrozen(y, Eigen::MatrixXd(rows, 0), Identity(6), options);
    EXPECT_TRUE(result.has_value());
    return *result;
  };
  EXPECT_EQ(frozen(20).application, Application::kFrozenLocationScale);
  EXPECT_EQ(frozen(19).application, Application::kFrozenMeanOnly);
  EXPECT_EQ(frozen(19).estimates.delta_star, Eigen::VectorXd::Ones(6));
  EXPECT_EQ(frozen(2).application, Application::kFrozenMeanOnly);
  EXPECT_EQ(frozen(1).application, Application::kPassThrough);
  EXPECT_EQ(frozen(1).adjusted, RandomRows(1, 6, 3)) << "untouched, bit by bit";
  EXPECT_EQ(frozen(0).application, Application::kPassThrough);
}

TEST(ApplyFrozen, MovesAConstantFeatureButInventsNoSpreadAndKeepsItOutOfThePriors) {
  const Eigen::MatrixXd regular = RandomRows(30, 5, 4);
  Eigen::MatrixXd y(30, 6);
  y << regular, Eigen::VectorXd::Constant(30, 2.5);
  const auto with = ApplyFrozen(y, Eigen::MatrixXd(30, 0), Identity(6), {});
  const auto without = ApplyFrozen(regular, Eigen::MatrixXd(30, 0), Identity(5), {});
  ASSERT_TRUE(with.has_value() && without.has_value());
  EXPECT_EQ(with->location_only, std::vector<Eigen::Index>{5});
  EXPECT_EQ(with->adjusted.leftCols(5), without->adjusted);
  EXPECT_EQ(with->adjusted.col(5).maxCoeff(), with->adjusted.col(5).minCoeff());
  EXPECT_LT(std::fabs(with->adjusted(0, 5)), 2.5) << "pulled towards the grand mean 0";
}

TEST(ApplyFrozen, RefusesOtherColumnsThanTheModels) {
  const auto fewer = ApplyFrozen(RandomRows(30, 5, 4), Eigen::MatrixXd(30, 0), Identity(6), {});
  ASSERT_FALSE(fewer.has_value());
  EXPECT_EQ(fewer.error().code, ErrorCode::kInvalidArgument);
  const Eigen::MatrixXd unknown =
      Eigen::MatrixXd::Constant(30, 1, std::numeric_limits<double>::quiet_NaN());
  EXPECT_FALSE(ApplyFrozen(RandomRows(30, 5, 4), unknown, Identity(5, 1), {}).has_value());
}

TEST(CheckPreserved, RefusesTheOutcomeOnlyWhenAModelIsTrained) {
  EXPECT_TRUE(CheckPreserved({"age", "sex"}, "response", true).has_value());
  EXPECT_TRUE(CheckPreserved({"age", "response_time"}, "response", true).has_value());
  EXPECT_TRUE(CheckPreserved({"response"}, "response", false).has_value());
  for (const char* name : {"response", "response=yes"}) {
    const auto refused = CheckPreserved({"age", name}, "response", true);
    ASSERT_FALSE(refused.has_value()) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);
    EXPECT_NE(refused.error().message.find("label"), std::string::npos) << "the reason is given";
  }
}

}  // namespace
}  // namespace consilium::harmonization
