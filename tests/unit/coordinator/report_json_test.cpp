#include "coordinator/report_json.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/clean_text.h"
#include "tests/support/sample_results.h"

namespace consilium::coordinator {
namespace {

using nlohmann::json;
using test_support::SampleResults;

TEST(ReportJson, HasEveryKeyThatTheFormatPromises) {
  const json report = json::parse(ReportJson(SampleResults()));
  for (const char* key : {"schema", "verdict", "results", "summary", "roc", "calibration",
                          "net_benefit", "coefficients_file", "cv_file", "dropped_features", "flow",
                          "rounds", "bytes_up", "disclosure", "provenance"}) {
    EXPECT_TRUE(report.contains(key)) << key;
  }
  EXPECT_EQ(report.size(), 15u);
  EXPECT_EQ(report["schema"], "consilium.report/1");
  for (const char* key : {"model",
                          "features",
                          "harmonization",
                          "held_out",
                          "lambda_rule",
                          "primary",
                          "status",
                          "reason",
                          "n",
                          "events",
                          "nonevents",
                          "internal_auc",
                          "internal_auc_ci",
                          "internal_auc_pooled",
                          "internal_auc_pooled_bound",
                          "external_auc",
                          "external_auc_ci",
                          "external_auc_ci_wald",
                          "degradation",
                          "degradation_ci",
                          "lambda",
                          "nonzero",
                          "kkt_residual",
                          "path_length",
                          "counts",
                          "single_row_decides",
                          "true_external_auc",
                          "path_ended"}) {
    EXPECT_TRUE(report["results"][0].contains(key)) << key;
  }
  for (const char* key : {"k", "expit_mu", "ci", "prediction_interval", "prediction_interval_k2",
                          "tau2", "I2", "delta", "delta_ci95", "delta_ci90", "mean_internal"}) {
    EXPECT_TRUE(report["summary"][0].contains(key)) << key;
  }
  EXPECT_EQ(report["bytes_up"]["basel"], 48'212'904);
  EXPECT_EQ(report["disclosure"]["sites"]["basel"]["equations"], 1205);
  EXPECT_EQ(report["flow"]["cork"]["steps"][0]["reason"], "found");
}

TEST(ReportJson, EqualResultsGiveEqualBytesAndAChangedNumberDoesNot) {
  EXPECT_EQ(ReportJson(SampleResults()), ReportJson(SampleResults()));
  study::Results changed = SampleResults();
  changed.rows[0].external_auc += 1e-16;
  ASSERT_NE(changed.rows[0].external_auc, SampleResults().rows[0].external_auc);
  EXPECT_NE(ReportJson(changed), ReportJson(SampleResults()));
}

TEST(ReportJson, IntervalsAreTwoNumbersAndWhatIsNotDefinedIsNull) {
  const json report = json::parse(ReportJson(SampleResults()));
  const json& scored = report["results"][0];
  ASSERT_TRUE(scored["external_auc_ci"].is_array());
  EXPECT_EQ(scored["external_auc_ci"].size(), 2u);
  const json& too_few = report["results"][4];
  EXPECT_EQ(too_few["status"], "too few");
  EXPECT_TRUE(too_few["external_auc"].is_null());
  EXPECT_TRUE(too_few["external_auc_ci"].is_null());
  EXPECT_TRUE(too_few["degradation_ci"].is_null());
  EXPECT_TRUE(too_few["events"].is_null());
  EXPECT_TRUE(too_few["true_external_auc"].is_null());
}

TEST(ReportJson, OneOpenLimitIsNullInsideItsInterval) {
  study::Results results;
  results.rows.resize(1);
  results.rows[0].degradation_ci = {study::kNotDefined, 0.5};
  results.rows[0].nonzero = -1;
  results.rows[0].lambda = std::numeric_limits<double>::infinity();
  const json row = json::parse(ReportJson(results))["results"][0];
  EXPECT_TRUE(row["degradation_ci"][0].is_null());
  EXPECT_EQ(row["degradation_ci"][1], 0.5);
  EXPECT_TRUE(row["nonzero"].is_null());
  EXPECT_TRUE(row["lambda"].is_null());
}

TEST(ReportJson, EmptyResultsAreStillAReport) {
  const json report = json::parse(ReportJson({}));
  EXPECT_EQ(report["verdict"]["word"], "NOT ASSESSED");
  EXPECT_TRUE(report["results"].empty());
  EXPECT_EQ(report["rounds"], 0);
}

TEST(ReportJson, EveryFiniteDoubleReadsBackToTheSameDouble) {
  EXPECT_TRUE(rc::check([](double value) {
    study::Results results;
    results.rows.resize(1);
    results.rows[0].external_auc = value;
    const json row = json::parse(ReportJson(results))["results"][0];
    RC_ASSERT(row["external_auc"].get<double>() == value);
  }));
}

TEST(ReportJson, EveryTextReadsBackAndBytesThatAreNotUtf8AreReplaced) {
  EXPECT_TRUE(rc::check([](const std::string& text) {
    study::Results results;
    results.provenance.study = text;
    results.flow[text] = {};
    const json report = json::parse(ReportJson(results));
    RC_ASSERT(report["provenance"]["study"].get<std::string>() == CleanUtf8(text));
    RC_ASSERT(report["flow"].contains(CleanUtf8(text)));
  }));
}

}  // namespace
}  // namespace consilium::coordinator
