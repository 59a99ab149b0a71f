// A path whose fits run out of rounds: it ends there, and what was reached stays the very same.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "learning/lasso.h"
#include "tests/support/lasso_problem.h"
#include "tests/support/pooled_driver.h"

namespace consilium {
namespace {

using learning::LassoOptions;
using learning::LassoPath;

constexpr int kFolds = 4;
constexpr int kColumns = 12;

// Three sites; columns that go together, so that a lambda takes many rounds.
std::vector<federation::Cohort> Draw() {
  std::vector<federation::Cohort> cohorts;
  for (int site = 0; site < 3; ++site) {
    Rng rng(11, "unconverged path", static_cast<std::uint64_t>(site));
    federation::Cohort cohort;
    cohort.site = std::string(1, static_cast<char>('A' + site));
    constexpr Eigen::Index kRows = 48;
    cohort.features.resize(kRows, kColumns);
    cohort.covariates.resize(kRows, 0);
    cohort.outcome.resize(kRows);
    for (Eigen::Index i = 0; i < kRows; ++i) {
      const double common = rng.Normal();
      for (Eigen::Index j = 0; j < kColumns; ++j) cohort.features(i, j) = 2 * common + rng.Normal();
      const double eta = cohort.features(i, 0) - cohort.features(i, 1);
      cohort.outcome(i) = rng.Chance(1 / (1 + std::exp(-eta))) ? 1 : 0;
      cohort.fold.push_back(static_cast<int>(i) % kFolds + 1);
    }
    for (int j = 0; j < kColumns; ++j) cohort.feature_names.push_back("x" + std::to_string(j));
    cohorts.push_back(std::move(cohort));
  }
  return cohorts;
}

LassoPath Fit(int rounds_max) {
  std::vector<int> columns(kColumns);
  std::iota(columns.begin(), columns.end(), 0);
  LassoOptions options;
  options.lambda_count = 30;
  options.path_stop = false;
  options.iterations_max = rounds_max;
  federation::StepRegistry registry;
  learning::RegisterMomentSteps(registry);
  learning::RegisterLassoSteps(registry);
  auto path = testing_support::RunFederation(
      [&](federation::Sums& sums) {
        return testing_support::PrepareAndFit(sums, {"A", "B", "C"}, columns, kFolds, options);
      },
      registry, Draw());
  if (!path) {
    ADD_FAILURE() << path.error().message;
    return {};
  }
  return std::move(*path);
}

void ExpectSamePoints(const learning::LassoFit& some, const learning::LassoFit& all) {
  for (std::size_t l = 0; l < some.points.size(); ++l) {
    EXPECT_EQ(some.points[l].beta, all.points[l].beta) << l;
    EXPECT_EQ(some.points[l].intercept, all.points[l].intercept) << l;
  }
}

TEST(UnconvergedPath, EndsBeforeTheLambdaThatRanOutOfRounds) {
  const LassoPath whole = Fit(200);
  ASSERT_EQ(whole.stopped.find("not converged"), std::string::npos);
  EXPECT_FALSE(whole.unconverged.has_value());
  std::size_t shorter = 0;
  std::size_t before = 0;
  for (const int rounds_max : {3, 4, 5, 6, 7, 8}) {
    SCOPED_TRACE(rounds_max);
    const LassoPath path = Fit(rounds_max);
    const std::size_t end = path.lambda.size();
    EXPECT_GE(end, before);  // more rounds never reach less
    before = end;
    if (end == whole.lambda.size()) continue;
    ++shorter;
    EXPECT_EQ(path.stopped, "not converged");
    ASSERT_TRUE(path.unconverged.has_value());
    EXPECT_EQ(path.unconverged->rounds, rounds_max);
    EXPECT_GT(path.unconverged->kkt_residual, LassoOptions().kkt_tolerance);
    EXPECT_NE(path.unconverged->fit.find("test/A/B/C"), std::string::npos);
    ASSERT_EQ(path.folds.size(), static_cast<std::size_t>(kFolds));
    ASSERT_EQ(path.full.points.size(), end);
    EXPECT_EQ(path.cvm.size(), static_cast<Eigen::Index>(end));
    if (end == 0) continue;
    EXPECT_EQ(path.unconverged->lambda, static_cast<int>(end));
    EXPECT_GE(end, 2U);
    EXPECT_LT(path.index_min, static_cast<int>(end));
    EXPECT_LE(path.index_1se, path.index_min);
    ExpectSamePoints(path.full, whole.full);
    for (std::size_t f = 0; f < path.folds.size(); ++f) {
      ASSERT_EQ(path.folds[f].points.size(), end);
      ExpectSamePoints(path.folds[f], whole.folds[f]);
    }
    EXPECT_EQ(path.cvm, whole.cvm.head(path.cvm.size()));
  }
  EXPECT_GE(shorter, 2U);
  EXPECT_GT(before, 2U);
}

TEST(UnconvergedPath, HasNoLambdaIfTheFirstWithCoefficientsIsNotReached) {
  const LassoPath path = Fit(1);
  EXPECT_EQ(path.stopped, "not converged");
  EXPECT_TRUE(path.lambda.empty());
  EXPECT_TRUE(path.full.points.empty());
  EXPECT_EQ(path.cvm.size(), 0);
  ASSERT_TRUE(path.unconverged.has_value());
  EXPECT_LE(path.unconverged->lambda, 1);
  EXPECT_EQ(path.unconverged->rounds, 1);
}

}  // namespace
}  // namespace consilium
