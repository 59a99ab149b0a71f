// The LASSO of simulated federations against the optima of reference/learning (glmnet polished by
// Newton).
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tests/conformance/lasso/reference_problem.h"

namespace consilium {
namespace {

using namespace testing_support;  // NOLINT: a test

// The whole path and its cross-validation curve, from a federation, against the files.
// lambda.min and lambda.1se are those of the summary.
// tolerance: |diff| <= tolerance * (1 + |coef|), the README's for this set.
// cv_tolerance: the curves' files are glmnet at thresh 1e-14, not polished. cv.glmnet at 1e-20 is
// 1.5e-8 (heart) and 5.9e-6 (bc4) away from its own file, and so is the optimum.
void ComparePath(const std::string& name, double kkt_tolerance, double tolerance,
                 double cv_tolerance) {
  const ReferenceProblem table = ReadProblem(name);
  learning::LassoOptions options;
  options.kkt_tolerance = kkt_tolerance;
  options.path_stop = false;
  const auto fitted = FitPath(table, table.sites, options);
  ASSERT_TRUE(fitted.has_value()) << fitted.error().message;
  const learning::LassoPath* path = &fitted->path;
  const CsvTable expected =
      ReadSharedCsv("reference/learning/" + name + "/binomial_lasso_path.csv");
  ASSERT_EQ(path->lambda.size(), expected.row_count());
  // moments of the full fit for the original scale: from the reference's pooled standardisation
  const CsvTable standardisation =
      ReadSharedCsv("reference/learning/" + name + "/standardisation.csv");
  learning::Moments moments;
  moments.mean.resize(static_cast<Eigen::Index>(table.features.size()));
  moments.sd.resize(moments.mean.size());
  for (std::size_t j = 0; j < table.features.size(); ++j) {
    moments.mean(static_cast<Eigen::Index>(j)) = ParseNumber(standardisation.Cell(j, 1)).value();
    moments.sd(static_cast<Eigen::Index>(j)) = ParseNumber(standardisation.Cell(j, 2)).value();
  }
  double worst = 0;
  for (std::size_t l = 0; l < path->lambda.size(); ++l) {
    EXPECT_NEAR(path->lambda[l], Number(expected, l, "lambda"), 1e-12 * path->lambda[0]);
    const Eigen::VectorXd coefficients = learning::OriginalScale(path->full.points[l], moments);
    for (Eigen::Index j = 0; j < coefficients.size(); ++j) {
      const double reference = Number(
          expected, l, j == 0 ? "(Intercept)" : table.features[static_cast<std::size_t>(j - 1)]);
      worst = std::max(worst, std::fabs(coefficients(j) - reference) / (1 + std::fabs(reference)));
    }
  }
  EXPECT_LE(worst, tolerance);
  const CsvTable cv = ReadSharedCsv("reference/learning/" + name + "/binomial_lasso_cv.csv");
  double worst_cv = 0;
  for (std::size_t l = 0; l < path->lambda.size(); ++l) {
    const auto at = static_cast<Eigen::Index>(l);
    worst_cv = std::max(worst_cv, std::fabs(path->cvm(at) - Number(cv, l, "cvm_deviance")));
    worst_cv = std::max(worst_cv, std::fabs(path->cvsd(at) - Number(cv, l, "cvsd_deviance")));
  }
  EXPECT_LE(worst_cv, cv_tolerance);
  // A path that stops early chooses the same lambdas.
  const auto stopped = FitPath(table, table.sites, {});
  ASSERT_TRUE(stopped.has_value()) << stopped.error().message;
  EXPECT_EQ(stopped->path.index_min, path->index_min);
  EXPECT_EQ(stopped->path.index_1se, path->index_1se);
  const auto summary = nlohmann::json::parse(
      ReadShared("reference/learning/" + name + "/summary_paths.json"))["lasso"];
  EXPECT_NEAR(path->lambda[static_cast<std::size_t>(path->index_min)] /
                  summary["lambda_min_deviance"].get<double>(),
              1, 1e-10);
  EXPECT_NEAR(path->lambda[static_cast<std::size_t>(path->index_1se)] /
                  summary["lambda_1se_deviance"].get<double>(),
              1, 1e-10);
  std::printf(
      "[ figures  ] %s: coefficients within %.1e, cross-validation within %.1e, KKT %.1e, %d "
      "rounds, lambda.min #%d, lambda.1se #%d, %s\n",
      name.c_str(), worst, worst_cv, path->full.kkt_residual, path->rounds, path->index_min + 1,
      path->index_1se + 1, path->stopped.c_str());
}

TEST(LassoReference, HeartPathAndCrossValidationAreTheOptimum) {
  CONSILIUM_NEEDS_SHARED("reference/learning/heart/input.csv");
  ComparePath("heart", 1e-10, 1e-7, 1e-7);
}

TEST(LassoReference, BreastCancerPathAndCrossValidationAreTheOptimum) {
  CONSILIUM_NEEDS_SHARED("reference/learning/bc4/input.csv");
  ComparePath("bc4", 1e-11, 1e-5, 1e-5);
}

}  // namespace
}  // namespace consilium
