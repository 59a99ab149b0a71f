// Leave-one-center-out on bc4 (four pseudo-centers, nearly separable) and hnscc (four hospitals,
// 1209 radiomic features), and the whole path of hnscc: glmnet's lambdas, polished coefficients,
// cross-validation curves and pROC's external AUCs.
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tests/conformance/lasso/reference_problem.h"

namespace consilium {
namespace {

using namespace testing_support;  // NOLINT: a test

struct Expected {
  double lambda = 0, external = 0;
};

// By "model/held_out".
std::map<std::string, Expected> ReadExpected(const std::string& path) {
  const CsvTable table = ReadSharedCsv(path);
  std::map<std::string, Expected> expected;
  for (std::size_t i = 0; i < table.row_count(); ++i) {
    const std::string model(table.Cell(i, *table.Column("model")));
    if (!model.starts_with("lasso_")) continue;
    const std::string detail(table.Cell(i, *table.Column("detail")));  // "lambda=0.0042... df=14"
    const std::size_t begin = detail.find('=') + 1;
    expected[model + "/" + std::string(table.Cell(i, *table.Column("held_out")))] = {
        ParseNumber(detail.substr(begin, detail.find(' ') - begin)).value_or(std::nan("")),
        Number(table, i, "external_auc_mean")};
  }
  return expected;
}

// As a study does it: path stop on, KKT 1e-8. An AUC is a count of pairs: equal to 1e-12 when no
// pair changes its order.
void CompareExternal(const ReferenceProblem& problem, const std::string& file) {
  const auto expected = ReadExpected(file);
  ASSERT_EQ(expected.size(), 2 * problem.sites.size());
  for (const federation::Cohort& home : problem.cohorts) {
    SCOPED_TRACE("held out " + home.site);
    std::vector<std::string> members;
    for (const std::string& site : problem.sites) {
      if (site != home.site) members.push_back(site);
    }
    const auto fitted = FitPath(problem, members, {});
    ASSERT_TRUE(fitted.has_value()) << fitted.error().message;
    EXPECT_LE(fitted->path.full.kkt_residual, 1e-8);
    for (const auto& [model, index] :
         std::map<std::string, int>{{"lasso_lambda_min", fitted->path.index_min},
                                    {"lasso_lambda_1se", fitted->path.index_1se}}) {
      SCOPED_TRACE(model);
      const Expected& one = expected.at(model + "/" + home.site);
      const auto at = static_cast<std::size_t>(index);
      EXPECT_NEAR(fitted->path.lambda[at] / one.lambda, 1, 1e-10);
      const double auc =
          AucOfCohort(home, learning::OriginalScale(fitted->path.full.points[at], fitted->moments));
      EXPECT_NEAR(auc, one.external, 1e-12);
      std::printf("[ figures  ] %s held out, %s: lambda %.6g, external AUC %.6f (%s, %d rounds)\n",
                  home.site.c_str(), model.c_str(), fitted->path.lambda[at], auc,
                  fitted->path.stopped.c_str(), fitted->path.rounds);
    }
  }
}

TEST(ExternalReference, BreastCancerEqualsGlmnetAndPRocInEveryHeldOutCenter) {
  CONSILIUM_NEEDS_SHARED("reference/learning/bc4/input.csv");
  CompareExternal(ReadProblem("bc4"), "reference/learning/external_bc4/external_auc_lasso_rf.csv");
}

TEST(ExternalReference, HeadAndNeckEqualsGlmnetAndPRocInEveryHeldOutHospital) {
  CONSILIUM_NEEDS_SHARED("data/hnscc_ct_4hospitals/hnscc.csv");
  CompareExternal(ReadHnscc(), "reference/learning/hnscc/external_auc_lasso_rf.csv");
}

// The path ends where cross-validation has clearly turned, so the file is compared as far as it
// goes; lambda.min and lambda.1se lie before that.
TEST(ExternalReference, HeadAndNeckPathAndCrossValidationAreTheOptimum) {
  CONSILIUM_NEEDS_SHARED("data/hnscc_ct_4hospitals/hnscc.csv");
  const ReferenceProblem problem = ReadHnscc();
  ASSERT_EQ(problem.features.size(), 1209U);
  learning::LassoOptions options;
  options.kkt_tolerance = 1e-10;
  const auto fitted = FitPath(problem, problem.sites, options);
  ASSERT_TRUE(fitted.has_value()) << fitted.error().message;
  const learning::LassoPath& path = fitted->path;
  EXPECT_LE(path.full.kkt_residual, 1e-10);

  const CsvTable sparse = ReadSharedCsv("reference/learning/hnscc/binomial_lasso_path_sparse.csv");
  std::vector<std::map<std::string, double>> expected(100);
  for (std::size_t i = 0; i < sparse.row_count(); ++i) {
    const auto index = static_cast<std::size_t>(Number(sparse, i, "index")) - 1;
    expected.at(index)[std::string(sparse.Cell(i, *sparse.Column("term")))] =
        Number(sparse, i, "coef");
  }
  const CsvTable cv = ReadSharedCsv("reference/learning/hnscc/binomial_lasso_cv.csv");
  double worst = 0, worst_cv = 0;
  for (std::size_t l = 0; l < path.lambda.size(); ++l) {
    EXPECT_NEAR(path.lambda[l] / Number(cv, l, "lambda"), 1, 1e-10);
    const Eigen::VectorXd found = learning::OriginalScale(path.full.points[l], fitted->moments);
    for (Eigen::Index j = 0; j < found.size(); ++j) {
      const std::string term =
          j == 0 ? "(Intercept)" : problem.features[static_cast<std::size_t>(j - 1)];
      const auto at = expected[l].find(term);
      const double reference = at == expected[l].end() ? 0 : at->second;
      worst = std::max(worst, std::fabs(found(j) - reference) / (1 + std::fabs(reference)));
    }
    const auto at = static_cast<Eigen::Index>(l);
    worst_cv = std::max(worst_cv, std::fabs(path.cvm(at) - Number(cv, l, "cvm_deviance")));
    worst_cv = std::max(worst_cv, std::fabs(path.cvsd(at) - Number(cv, l, "cvsd_deviance")));
  }
  EXPECT_LE(worst, 1e-7);
  // The file's folds are glmnet at thresh 1e-14, not polished: cv.glmnet at 1e-20 is 1.903e-6 away
  // from the file (at lambda #32), and so is the optimum.
  EXPECT_LE(worst_cv, 2e-6);
  const auto summary =
      nlohmann::json::parse(ReadShared("reference/learning/hnscc/summary_lasso.json"));
  EXPECT_NEAR(
      path.lambda[static_cast<std::size_t>(path.index_min)] / summary["lambda_min"].get<double>(),
      1, 1e-10);
  EXPECT_NEAR(
      path.lambda[static_cast<std::size_t>(path.index_1se)] / summary["lambda_1se"].get<double>(),
      1, 1e-10);
  EXPECT_GT(path.lambda.size(), static_cast<std::size_t>(path.index_min) + 1);
  std::printf(
      "[ figures  ] hnscc: %zu of 100 lambdas (%s), coefficients within %.1e, cross-validation "
      "within %.1e, KKT %.1e, %d rounds, lambda.min #%d, lambda.1se #%d\n",
      path.lambda.size(), path.stopped.c_str(), worst, worst_cv, path.full.kkt_residual,
      path.rounds, path.index_min + 1, path.index_1se + 1);
}

}  // namespace
}  // namespace consilium
