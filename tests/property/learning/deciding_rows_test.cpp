// How many rows decide the choice of lambda: the sites' count against one made on the pooled rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "learning/lasso.h"
#include "tests/support/lasso_problem.h"
#include "tests/support/pooled_driver.h"

namespace consilium {
namespace {

using testing_support::LassoProblem;
using testing_support::PooledDriver;

constexpr int kFolds = 5;

// Three sites; with `outlier`, one row of the first has a value far from all others.
std::vector<federation::Cohort> Draw(std::uint64_t seed, double outlier) {
  std::vector<federation::Cohort> cohorts;
  for (int site = 0; site < 3; ++site) {
    Rng rng(seed, "deciding rows", static_cast<std::uint64_t>(site));
    federation::Cohort cohort;
    cohort.site = std::string(1, static_cast<char>('A' + site));
    constexpr Eigen::Index kRows = 40, kColumns = 8;
    cohort.features.resize(kRows, kColumns);
    cohort.covariates.resize(kRows, 0);
    cohort.outcome.resize(kRows);
    for (Eigen::Index i = 0; i < kRows; ++i) {
      for (Eigen::Index j = 0; j < kColumns; ++j) cohort.features(i, j) = rng.Normal();
      cohort.outcome(i) = rng.Chance(1 / (1 + std::exp(-cohort.features(i, 0)))) ? 1 : 0;
      cohort.fold.push_back(static_cast<int>(i) % kFolds + 1);
    }
    if (site == 0) cohort.features(3, 1) = outlier;
    for (Eigen::Index j = 0; j < kColumns; ++j) {
      cohort.feature_names.push_back("x" + std::to_string(j));
    }
    cohorts.push_back(std::move(cohort));
  }
  return cohorts;
}

struct Outcome {
  LassoProblem problem;
  learning::LassoPath path;
  double deciding = 0;
};

federation::Task<Outcome> Ask(federation::Sums& sums, std::vector<std::string> sites) {
  Outcome outcome;
  std::vector<int> columns(8);
  std::iota(columns.begin(), columns.end(), 0);
  auto preparing = testing_support::PrepareLasso(sums, sites, columns, kFolds);
  auto problem = co_await preparing;
  if (!problem) co_return tl::unexpected<Error>(problem.error());
  outcome.problem = std::move(*problem);
  learning::LassoOptions options;
  options.lambda_count = 40;
  options.path_stop = false;
  auto fitting = learning::FitLassoPath(sums, outcome.problem.full, outcome.problem.folds, options);
  auto path = co_await fitting;
  if (!path) co_return tl::unexpected<Error>(path.error());
  outcome.path = std::move(*path);
  auto counting = learning::CountDecidingRows(sums, outcome.problem.folds, outcome.path,
                                              outcome.problem.full.scope.fit);
  const auto deciding = co_await counting;
  if (!deciding) co_return tl::unexpected<Error>(deciding.error());
  outcome.deciding = *deciding;
  co_return outcome;
}

// The same on the pooled rows, with libm and in another order.
int CountPooled(const std::vector<federation::Cohort>& cohorts, const Outcome& outcome) {
  const std::size_t lambdas = outcome.path.lambda.size();
  std::vector<std::vector<double>> deviance;  // by row, then lambda
  for (const federation::Cohort& cohort : cohorts) {
    for (Eigen::Index i = 0; i < cohort.row_count(); ++i) {
      const auto f = static_cast<std::size_t>(cohort.fold[static_cast<std::size_t>(i)] - 1);
      const learning::Moments& moments = outcome.problem.folds[f].moments;
      std::vector<double> row;
      for (std::size_t l = 0; l < lambdas; ++l) {
        const learning::PathPoint& point = outcome.path.folds[f].points[l];
        double eta = point.intercept;
        for (Eigen::Index j = 0; j < point.beta.size(); ++j) {
          eta += point.beta(j) * (cohort.features(i, j) - moments.mean(j)) / moments.sd(j);
        }
        const double p = std::clamp(1 / (1 + std::exp(-eta)), 1e-5, 1 - 1e-5);
        row.push_back(-2 * std::log(cohort.outcome(i) > 0.5 ? p : 1 - p));
      }
      deviance.push_back(std::move(row));
    }
  }
  int deciding = 0;
  for (std::size_t without = 0; without < deviance.size(); ++without) {
    std::size_t best = 0;
    double best_sum = 0;
    for (std::size_t l = 0; l < lambdas; ++l) {
      double sum = 0;
      for (std::size_t i = 0; i < deviance.size(); ++i) {
        if (i != without) sum += deviance[i][l];
      }
      if (l == 0 || sum < best_sum) {
        best = l;
        best_sum = sum;
      }
    }
    const double moved = outcome.path.lambda[best] /
                         outcome.path.lambda[static_cast<std::size_t>(outcome.path.index_min)];
    if (moved > 1.5 || moved < 1 / 1.5) ++deciding;
  }
  return deciding;
}

TEST(DecidingRows, TheSitesCountWhatThePooledRowsSay) {
  int with_some = 0;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const auto cohorts = Draw(seed, seed % 2 == 0 ? 0.3 : 25.0);
    federation::StepRegistry registry;
    learning::RegisterMomentSteps(registry);
    learning::RegisterLassoSteps(registry);
    PooledDriver driver(registry, cohorts);
    const auto outcome = driver.Run(Ask(driver.sums(), {"A", "B", "C"}));
    ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
    EXPECT_EQ(outcome->deciding, CountPooled(cohorts, *outcome)) << "seed " << seed;
    if (outcome->deciding > 0) ++with_some;
  }
  EXPECT_GT(with_some, 0);   // the law is not empty:
  EXPECT_LT(with_some, 12);  // some choices hang on a row, some do not
}

}  // namespace
}  // namespace consilium
