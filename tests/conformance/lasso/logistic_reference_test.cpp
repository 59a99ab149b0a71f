// Maximum likelihood from sums over centers against R's glm(epsilon = 1e-15).
//
// Tolerance: glm stops when the deviance changes by less than 1e-15 of itself, and its covariance
// is that of the last but one iterate. Newton's error squares at each step, so that iterate is
// within about the square root of 1e-15, 3e-8, and its weights within a part of that: 1e-8 is asked
// of standard errors and covariance, and of coefficients in units of their standard errors.
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tests/conformance/lasso/reference_problem.h"

namespace consilium {
namespace {

using namespace testing_support;  // NOLINT: a test

void CompareMaximumLikelihood(const std::string& name) {
  const std::string folder = "reference/learning/" + name + "/";
  const ReferenceProblem problem = ReadProblem(name);
  const auto summary = nlohmann::json::parse(ReadShared(folder + "logistic_mle_summary.json"));
  const auto terms = summary["terms"].get<std::vector<std::string>>();
  federation::StepRegistry registry;
  learning::RegisterMomentSteps(registry);
  learning::RegisterLassoSteps(registry);
  PooledDriver driver(registry, problem.cohorts);
  const auto prepared =
      driver.Run(PrepareLasso(driver.sums(), problem.sites, ColumnsNamed(problem, terms), 10));
  ASSERT_TRUE(prepared.has_value()) << prepared.error().message;
  const auto fit = driver.Run(learning::FitLogistic(driver.sums(), prepared->full));
  ASSERT_TRUE(fit.has_value()) << fit.error().message;

  const CsvTable expected = ReadSharedCsv(folder + "logistic_mle.csv");
  const CsvTable vcov = ReadSharedCsv(folder + "logistic_mle_vcov.csv");
  ASSERT_EQ(expected.row_count(), terms.size() + 1);
  ASSERT_EQ(fit->coefficients.size(), static_cast<Eigen::Index>(terms.size()) + 1);
  double worst = 0, worst_se = 0, worst_covariance = 0;
  for (std::size_t j = 0; j < expected.row_count(); ++j) {
    const auto at = static_cast<Eigen::Index>(j);
    ASSERT_EQ(expected.Cell(j, 0), j == 0 ? "(Intercept)" : terms[j - 1]);
    const double se = Number(expected, j, "se");
    worst = std::max(worst, std::fabs(fit->coefficients(at) - Number(expected, j, "coef")) / se);
    worst_se = std::max(worst_se, std::fabs(std::sqrt(fit->covariance(at, at)) / se - 1));
    for (std::size_t k = 0; k < expected.row_count(); ++k) {
      const double scale = se * Number(expected, k, "se");
      const double reference = ParseNumber(vcov.Cell(j, k + 1)).value_or(std::nan(""));
      worst_covariance = std::max(
          worst_covariance,
          std::fabs(fit->covariance(at, static_cast<Eigen::Index>(k)) - reference) / scale);
    }
  }
  EXPECT_LE(worst, 1e-8);  // in standard errors
  EXPECT_LE(worst_se, 1e-8);
  EXPECT_LE(worst_covariance, 1e-8);
  EXPECT_NEAR(fit->loglik, summary["loglik"].get<double>(), 1e-10 * std::fabs(fit->loglik));
  EXPECT_NEAR(fit->null_deviance, summary["null_deviance"].get<double>(),
              1e-12 * fit->null_deviance);
  std::printf(
      "[ figures  ] %s: coefficients within %.1e se, se within %.1e, covariance within %.1e, %d "
      "rounds\n",
      name.c_str(), worst, worst_se, worst_covariance, fit->iterations);
}

TEST(LogisticReference, HeartIsTheMaximumLikelihoodOfGlm) {
  CONSILIUM_NEEDS_SHARED("reference/learning/heart/input.csv");
  CompareMaximumLikelihood("heart");
}

TEST(LogisticReference, BreastCancerIsTheMaximumLikelihoodOfGlm) {
  CONSILIUM_NEEDS_SHARED("reference/learning/bc4/input.csv");
  CompareMaximumLikelihood("bc4");
}

}  // namespace
}  // namespace consilium
