// The summary on the screen comes from report.json, whoever wrote it.
#include "console/summary.h"

#include <gtest/gtest.h>

#include "coordinator/report_json.h"

namespace consilium::console {
namespace {

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(Summarize, TellsTheVerdictAndARowForEachResult) {
  study::Results results;
  results.verdict.word = "NOT READY";
  results.verdict.sentence = "External AUC 0.61.";
  results.provenance.study = "lung6";
  results.rounds = 58;
  study::ResultRow row;
  row.key = {"lasso", "combined", "combat", "west"};
  row.primary = true;
  row.internal_auc = 0.81;
  row.external_auc = 0.75;
  row.external_auc_ci = {0.6, 0.9};
  row.degradation = 0.06;
  results.rows.push_back(row);
  row.primary = false;
  row.key.held_out = "east";
  row.external_auc = study::kNotDefined;
  row.external_auc_ci = {};
  row.reason = "too few";
  row.path_ended = "path ended at lambda 3 of 100";
  results.rows.push_back(row);
  const auto summary = Summarize(coordinator::ReportJson(results));
  ASSERT_TRUE(summary.has_value()) << summary.error().message;
  EXPECT_EQ(summary->word, "NOT READY");
  EXPECT_EQ(summary->sentence, "External AUC 0.61.");
  EXPECT_EQ(summary->study, "lung6");
  EXPECT_TRUE(Has(summary->table,
                  "west                   combined     combat         0.810     0.750       0.600 "
                  "to 0.900        0.060  *\n"))
      << summary->table;
  EXPECT_TRUE(Has(summary->table, "  (too few)\n  path ended at lambda 3 of 100\n"))
      << summary->table;
  EXPECT_FALSE(Has(summary->table, "truth")) << summary->table;
  EXPECT_EQ(
      SummaryText(*summary, "out/report.html"),
      "\nNOT READY\nExternal AUC 0.61.\n\n" + summary->table + " The report: out/report.html\n");
  EXPECT_TRUE(summary->table.ends_with("\n58 rounds."));

  results.rows.front().true_external_auc = 0.77;
  EXPECT_TRUE(Has(Summarize(coordinator::ReportJson(results))->table, "   truth 0.770  *\n"));
}

TEST(Summarize, RefusesWhatIsNoReportAndSaysWhy) {
  for (const char* text :
       {"", "[]", "{\"schema\": ", "{}", "{\"schema\": 1}",
        "{\"schema\": \"consilium.report/9\", \"verdict\": {}, \"results\": []}",
        "{\"schema\": \"consilium.report/1\"}",
        "{\"schema\": \"consilium.report/1\", \"verdict\": {}, \"results\": 1}"}) {
    const auto summary = Summarize(text);
    ASSERT_FALSE(summary.has_value()) << text;
    EXPECT_EQ(summary.error().code, ErrorCode::kInvalidArgument);
    EXPECT_TRUE(Has(summary.error().message, "report.json")) << summary.error().message;
  }
}

TEST(Summarize, SurvivesRowsThatLackEverything) {
  const auto summary = Summarize(
      "{\"schema\": \"consilium.report/1\", \"verdict\": {}, \"results\": [{}, 5, null, "
      "{\"external_auc_ci\": [1], \"held_out\": \"\\u001b[2J\"}]}");
  ASSERT_TRUE(summary.has_value()) << summary.error().message;
  EXPECT_FALSE(Has(summary->table, "\x1B"));
}

}  // namespace
}  // namespace consilium::console
