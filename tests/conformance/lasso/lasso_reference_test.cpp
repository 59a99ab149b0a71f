// The LASSO of simulated federations against the optima of reference/learning (glmnet polished by
// Newton).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "learning/lasso.h"
#include "tests/support/lasso_problem.h"
#include "tests/support/pooled_driver.h"
#include "tests/support/reference_data.h"

namespace consilium {
namespace {

using namespace testing_support;  // NOLINT: a test

struct Table {
  std::vector<federation::Cohort> cohorts;
  std::vector<std::string> features, sites;
};

Table ReadTable(const std::string& name) {
  const CsvTable input = ReadSharedCsv("reference/learning/" + name + "/input.csv");
  Table table;
  for (const std::string& column : input.header()) {
    if (column != "row" && column != "source_row" && column != "centre" && column != "foldid" &&
        column != "y") {
      table.features.push_back(column);
    }
  }
  table.cohorts = SplitByCenter(
      input, table.features,
      [&](std::size_t i) { return std::string(input.Cell(i, *input.Column("centre"))); },
      [&](std::size_t i) { return static_cast<int>(Number(input, i, "foldid")); },
      [&](std::size_t i) { return Number(input, i, "y"); });
  for (const auto& cohort : table.cohorts) table.sites.push_back(cohort.site);
  return table;
}

std::vector<int> AllColumns(std::size_t count) {
  std::vector<int> columns(count);
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

// The whole path and its cross-validation curve, from a federation, against the files.
// lambda.min and lambda.1se are those of the summary.
// tolerance: |diff| <= tolerance * (1 + |coef|), the README's for this set.
void ComparePath(const std::string& name, double kkt_tolerance, double tolerance,
                 double cv_tolerance) {
  const Table table = ReadTable(name);
  federation::StepRegistry registry;
  learning::RegisterMomentSteps(registry);
  learning::RegisterLassoSteps(registry);
  PooledDriver driver(registry, table.cohorts);
  learning::LassoOptions options;
  options.kkt_tolerance = kkt_tolerance;
  options.path_stop = false;
  const auto path = driver.Run(
      PrepareAndFit(driver.sums(), table.sites, AllColumns(table.features.size()), 10, options));
  ASSERT_TRUE(path.has_value()) << path.error().message;
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
  ComparePath("bc4", 1e-11, 1e-5, 1e-4);
}

}  // namespace
}  // namespace consilium
