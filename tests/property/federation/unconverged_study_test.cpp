// A model that does not converge costs its own figures and nobody else's.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/small_study.h"

namespace consilium {
namespace {

using testing::SmallRun;
using testing::SmallStudyOptions;

// One model beside the study's own; its name sorts before it.
SmallRun RunBeside(const std::string& model) {
  SmallStudyOptions options;
  options.combat = false;
  options.fold_column = true;  // keyed folds would be others in another study
  if (!model.empty()) options.more_models = "  beside: " + model + "\n";
  return testing::MustRun(testing::MustAssemble(options, testing::SmallHospitals()));
}

const study::ResultRow* RowOf(const study::Results& results, const std::string& model) {
  for (const study::ResultRow& row : results.rows) {
    if (row.key.model == model) return &row;
  }
  ADD_FAILURE() << "no row of " << model;
  return nullptr;
}

void ExpectLassoAsAlone(const study::Results& results) {
  const study::Results alone = RunBeside("").results;
  const auto* row = RowOf(results, "lasso");
  const auto* expected = RowOf(alone, "lasso");
  ASSERT_TRUE(row != nullptr && expected != nullptr);
  EXPECT_EQ(row->status, study::RowStatus::kOk);
  EXPECT_EQ(row->path_ended, "");
  EXPECT_EQ(row->lambda, expected->lambda);
  EXPECT_EQ(row->internal_auc, expected->internal_auc);
  EXPECT_EQ(row->external_auc, expected->external_auc);
  EXPECT_EQ(results.verdict.word, alone.verdict.word);
  EXPECT_EQ(results.verdict.sentences, alone.verdict.sentences);
}

TEST(UnconvergedStudy, AModelWithoutAPathIsListedWithItsReasonAndTheOthersGoOn) {
  const SmallRun run =
      RunBeside("{method: lasso, lambda: min, lambda_count: 20, kkt_tolerance: 1e-19}");
  const auto* row = RowOf(run.results, "beside");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->status, study::RowStatus::kNotRun);
  EXPECT_NE(row->reason.find("of 20: not converged to 1e-19 after 200 rounds; KKT residual "),
            std::string::npos)
      << row->reason;
  EXPECT_NE(row->reason.find("(fit 'combined/none/held out west"), std::string::npos)
      << row->reason;
  EXPECT_FALSE(row->counts);
  EXPECT_TRUE(std::isnan(row->external_auc) && std::isnan(row->internal_auc));
  for (const auto& one : run.results.coefficients) EXPECT_EQ(one.key.model, "lasso");
  for (const auto& one : run.results.cv) EXPECT_EQ(one.key.model, "lasso");
  for (const auto& one : run.results.roc) EXPECT_EQ(one.key.model, "lasso");
  ExpectLassoAsAlone(run.results);
}

// 2e-14 is within reach of the sums' words at large lambdas only.
TEST(UnconvergedStudy, APathThatEndsEarlyIsUsedAndSaidInTheRowAndTheVerdict) {
  SmallStudyOptions options;
  options.combat = false;
  options.fold_column = true;
  options.kkt_tolerance = 2e-14;
  const SmallRun run = testing::MustRun(testing::MustAssemble(options, testing::SmallHospitals()));
  const auto* row = RowOf(run.results, "lasso");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->status, study::RowStatus::kOk);
  EXPECT_EQ(row->path_ended.find(fmt::format("path ended at lambda {} of 20: not converged to "
                                             "2e-14 after 200 rounds; KKT residual ",
                                             row->path_length + 1)),
            0U)
      << row->path_ended;
  EXPECT_GE(row->path_length, 2);
  EXPECT_LE(row->kkt_residual, 2e-14);
  EXPECT_GT(row->external_auc, 0.5);
  EXPECT_GT(row->internal_auc, 0.5);
  const std::vector<std::string>& said = run.results.verdict.sentences;
  EXPECT_EQ(std::count(said.begin(), said.end(), "Held out west: " + row->path_ended + "."), 1);
  EXPECT_NE(run.report.find(row->path_ended), std::string::npos);
}

TEST(UnconvergedStudy, APrimaryModelThatWasNotMadeIsSaidInTheVerdict) {
  SmallStudyOptions options;
  options.combat = false;
  options.kkt_tolerance = 1e-19;
  const SmallRun run = testing::MustRun(testing::MustAssemble(options, testing::SmallHospitals()));
  const auto* row = RowOf(run.results, "lasso");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->status, study::RowStatus::kNotRun);
  EXPECT_EQ(run.results.verdict.word, "INSUFFICIENT EVIDENCE");
  ASSERT_FALSE(run.results.verdict.sentences.empty());
  EXPECT_EQ(run.results.verdict.sentences.back(), "Held out west: not run: " + row->reason + ".");
}

}  // namespace
}  // namespace consilium
