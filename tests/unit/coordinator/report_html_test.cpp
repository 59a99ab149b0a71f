#include "coordinator/report_html.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

#include "base/clean_text.h"
#include "coordinator/report_json.h"
#include "tests/support/sample_results.h"

namespace consilium::coordinator {
namespace {

using test_support::SampleResults;

std::string Html(const study::Results& results) {
  auto html = ReportHtml(ReportJson(results), ReportTables(results));
  EXPECT_TRUE(html.has_value()) << html.error().message;
  return html.value_or("");
}

// What a reader without JavaScript has: the page before its first script element.
std::string WithoutScripts(const std::string& html) { return html.substr(0, html.find("<script")); }

std::size_t Count(const std::string& text, std::string_view piece) {
  std::size_t count = 0;
  for (auto at = text.find(piece); at != std::string::npos; at = text.find(piece, at + 1)) ++count;
  return count;
}

// A sentence as the page has it: with the minus sign of the tables.
std::string OnPage(const std::string& sentence) {
  std::string text = EscapeHtml(sentence);
  for (std::size_t at = 0; (at = text.find(" -0", at)) != std::string::npos;)
    text.replace(at, 2, " \u2212");
  return text;
}

TEST(ReportHtml, EverySentenceOfTheVerdictStandsInThePageWithoutJavaScript) {
  study::Results results = SampleResults();
  results.verdict.sentences.emplace_back(
      "Discrimination did not fall, but it was low at home (0.57); a small fall is not a success.");
  results.verdict.sentences.emplace_back("Not estimable in [age < 40]: 4 events (minimum 10).");
  const std::string page = WithoutScripts(Html(results));
  EXPECT_NE(page.find(OnPage(results.verdict.sentence)), std::string::npos);
  EXPECT_NE(page.find(results.verdict.word), std::string::npos);
  for (const study::Criterion& criterion : results.verdict.criteria) {
    EXPECT_NE(page.find(EscapeHtml(criterion.sentence)), std::string::npos) << criterion.name;
  }
  for (const std::string& sentence : results.verdict.sentences) {
    EXPECT_NE(page.find(EscapeHtml(sentence)), std::string::npos) << sentence;
  }
  for (const std::string& sentence : results.disclosure_sentences) {
    EXPECT_NE(page.find(EscapeHtml(sentence)), std::string::npos) << sentence;
  }
  for (const study::NetBenefitTest& test : results.net_benefit_tests) {
    EXPECT_NE(page.find(EscapeHtml(test.sentence)), std::string::npos) << test.sentence;
  }
}

TEST(ReportHtml, TheVerdictComesBeforeAnyTable) {
  const std::string page = Html(SampleResults());
  EXPECT_LT(page.find("INSUFFICIENT EVIDENCE"), page.find("<table"));
}

TEST(ReportHtml, EveryEstimateWithItsIntervalIsReadableWithoutJavaScript) {
  const study::Results results = SampleResults();
  const std::string page = WithoutScripts(Html(results));
  for (const study::ResultRow& row : results.rows) {
    if (row.status != study::RowStatus::kOk) continue;
    const std::string cell = fmt::format("{:.3f}<small>[{:.3f}, {:.3f}]</small>", row.external_auc,
                                         row.external_auc_ci.lower, row.external_auc_ci.upper);
    EXPECT_NE(page.find(cell), std::string::npos) << row.key.held_out << ": " << cell;
  }
  EXPECT_NE(page.find("no answer by the deadline"), std::string::npos);
  EXPECT_NE(page.find("<td class=\"n\">&lt;5</td>"), std::string::npos);
  EXPECT_NE(page.find("wavelet-HLH_glcm_Imc2"), std::string::npos);
  EXPECT_NE(page.find("excluded: no baseline scan"), std::string::npos);
  EXPECT_EQ(page.find(">nan"), std::string::npos);
  EXPECT_EQ(page.find(">null"), std::string::npos);
}

TEST(ReportHtml, GeneratedStudiesShowTheCeilingBesideTheEstimateAndOthersHaveNoSuchColumn) {
  study::Results results = SampleResults();
  EXPECT_EQ(WithoutScripts(Html(results)).find("Ceiling"), std::string::npos);
  for (study::ResultRow& row : results.rows) row.true_external_auc = 0.6789;
  const std::string page = WithoutScripts(Html(results));
  EXPECT_NE(page.find(">Ceiling</th>"), std::string::npos);
  EXPECT_NE(page.find(">0.679<"), std::string::npos);
  EXPECT_NE(page.find("this model's own true AUC lies below it"), std::string::npos);
}

TEST(ReportHtml, NumbersHaveOneMinusSignAndHyphensInWordsStay) {
  study::Results results = SampleResults();
  results.verdict.sentences = {
      "A fall of -0.04 [-0.10, 0.02] (-1); no fit of log-sigma-3-0 at 1e-08."};
  const std::string page = WithoutScripts(Html(results));
  EXPECT_NE(
      page.find("A fall of \u22120.04 [\u22120.10, 0.02] (\u22121); no fit of log-sigma-3-0 at "
                "1e\u221208."),
      std::string::npos);
  EXPECT_NE(page.find("3.1e\u221209"), std::string::npos);  // the sample's KKT residual
  for (const char* wrong : {">-0", "[-0", " -0", "e-0"}) {
    EXPECT_EQ(page.find(wrong, page.find("<main>")), std::string::npos) << wrong;
  }
}

TEST(ReportHtml, ANewCenterHasBothRangesAndThePageSaysWhenOneIsOnlyTheAveragesInterval) {
  study::Results results = SampleResults();
  const auto primary = [&]() -> study::SummaryRow& {
    return *std::find_if(results.summary.begin(), results.summary.end(),
                         [](const study::SummaryRow& row) { return row.primary; });
  };
  const auto range = [](const study::Interval& interval) {
    return fmt::format("[{:.3f}, {:.3f}]", interval.lower, interval.upper);
  };
  const std::string page = WithoutScripts(Html(results));
  const std::string section =
      page.substr(page.find("id=\"degradation\""),
                  page.find("id=\"compared\"") - page.find("id=\"degradation\""));
  EXPECT_NE(section.find(range(primary().prediction_interval)), std::string::npos);
  EXPECT_NE(section.find(range(primary().prediction_interval_k2)), std::string::npos);
  constexpr std::string_view kSame = "is the average's interval once more";
  EXPECT_EQ(page.find(kSame), std::string::npos);
  primary().tau2 = 0;
  EXPECT_NE(Html(results).find(kSame), std::string::npos);
}

TEST(ReportHtml, AnalysesWithTheSameFiguresAreNamedAsSuch) {
  study::Results results = SampleResults();
  EXPECT_EQ(Html(results).find("same as"), std::string::npos);
  std::map<std::string, const study::ResultRow*> none;
  for (study::ResultRow& row : results.rows) {
    if (row.key.features != "radiomics") continue;
    if (row.key.harmonization == "none") none[row.key.held_out] = &row;
    if (row.key.harmonization != "combat") continue;
    row.internal_auc = none.at(row.key.held_out)->internal_auc;
    row.external_auc = none.at(row.key.held_out)->external_auc;
  }
  EXPECT_EQ(Count(Html(results), "same as <bdi>none</bdi>"), 1U);
  // One center with another digit: no longer.
  for (study::ResultRow& row : results.rows) {
    if (row.key.features == "radiomics" && row.key.harmonization == "combat" &&
        row.key.held_out == "cork")
      row.external_auc += 1e-9;
  }
  EXPECT_EQ(Html(results).find("same as"), std::string::npos);
}

TEST(ReportHtml, TheLimitsAreThoseOfTheDesign) {
  study::Results results = SampleResults();
  const std::string each = Html(results);
  EXPECT_NE(each.find("come from the same patients"), std::string::npos);
  EXPECT_NE(each.find("missing cells in each column"), std::string::npos);
  results.provenance.design = "named held-out centers";
  const std::string named = Html(results);
  EXPECT_EQ(named.find("come from the same patients"), std::string::npos);
  EXPECT_EQ(named.find("missing cells in each column"), std::string::npos);
  EXPECT_NE(named.find("share one model"), std::string::npos);
}

TEST(ReportHtml, NothingBesideAnAucHasMoreThanThreeDigitsBehindThePoint) {
  study::Results results = SampleResults();
  for (study::ResultRow& row : results.rows) {
    row.internal_auc_pooled_bound = row.key.held_out == "cork"    ? 0.0009399
                                    : row.key.held_out == "basel" ? 0.00004
                                                                  : 0.0213;
  }
  const std::string page = WithoutScripts(Html(results));
  for (const char* bound : {"\u00B1 0.001 ", "\u00B1 &lt; 0.001 ", "\u00B1 0.021 "})
    EXPECT_NE(page.find(bound), std::string::npos) << bound;
  EXPECT_EQ(page.find("0.00093"), std::string::npos);
}

TEST(ReportHtml, APathThatEndedEarlyIsSaidBesideItsFit) {
  study::Results results = SampleResults();
  EXPECT_EQ(Html(results).find("not converged"), std::string::npos);
  for (study::ResultRow& row : results.rows)
    row.path_ended = "path ended at lambda 41 of 100: not converged to 1e-08 <";
  const std::string page = WithoutScripts(Html(results));
  const std::string said = "path ended at lambda 41 of 100: not converged to 1e-08 &lt;<";
  const auto first = page.find(said);
  ASSERT_NE(first, std::string::npos);
  EXPECT_NE(page.find(said, first + 1), std::string::npos);  // with the results, and with the fits
}

TEST(ReportHtml, HostileNamesNeverBecomeMarkup) {
  const std::string hostile = "x\"'></script><script>alert(1)</script><img src=x onerror=alert(2)>";
  study::Results results = SampleResults();
  results.provenance.study = results.provenance.title = results.provenance.event = hostile;
  results.provenance.primary = results.provenance.outcome = hostile;
  results.provenance.roster = {hostile};
  results.verdict.word = results.verdict.sentence = hostile;
  results.verdict.sentences = {hostile};
  results.verdict.criteria[0].title = results.verdict.criteria[0].sentence = hostile;
  results.flow[hostile] = {hostile, hostile, {{hostile, 1}}};
  results.disclosure[hostile] = {};
  results.disclosure_sentences = {hostile};
  const auto poison = [&](study::FitKey& key) {
    key.model = key.features = key.harmonization = hostile;
    key.held_out += hostile;
  };
  for (auto& row : results.rows) {
    poison(row.key);
    row.reason = row.institution = row.lambda_rule = hostile;
  }
  for (auto& row : results.summary)
    row.model = row.features = row.harmonization = row.reason = hostile;
  for (auto& row : results.roc) poison(row.key);
  for (auto& row : results.calibration) poison(row.key);
  for (auto& row : results.net_benefit_curves) poison(row.key);
  for (auto& row : results.net_benefit_tests) {
    poison(row.key);
    row.sentence = hostile;
  }
  for (auto& row : results.coefficients) {
    poison(row.key);
    row.term += hostile;
  }
  for (auto& row : results.cv) poison(row.key);
  for (auto& row : results.dropped_features) {
    poison(row.key);
    row.feature = row.reason = hostile;
  }
  const std::string page = Html(results);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("<script>alert"), std::string::npos);
  EXPECT_EQ(Count(page, "<script"), 2u);  // the data and the plots
  EXPECT_EQ(Count(page, "</script"), 2u);
  EXPECT_GT(Count(page, "&lt;script&gt;alert(1)"), 20u);
  // Inside a quoted attribute too: no name may close the quote.
  EXPECT_EQ(page.find("x\"'>"), std::string::npos);
}

TEST(ReportHtml, ThePolicyForbidsTheNetworkAndNamesTheScriptByItsDigest) {
  const std::string page = Html(SampleResults());
  EXPECT_NE(page.find("default-src 'none'; script-src 'sha256-"), std::string::npos);
  const std::string before_scripts = WithoutScripts(page);
  EXPECT_EQ(before_scripts.find("unsafe-eval"), std::string::npos);
  EXPECT_EQ(before_scripts.find("http://"), std::string::npos);
  EXPECT_EQ(before_scripts.find("https://"), std::string::npos);
  EXPECT_EQ(before_scripts.find("src="), std::string::npos);
}

TEST(ReportHtml, EqualReportsGiveEqualPages) {
  EXPECT_EQ(Html(SampleResults()), Html(SampleResults()));
}

TEST(ReportHtml, AnEmptyReportIsAPageAndSaysThatNothingWasAssessed) {
  const std::string page = WithoutScripts(Html({}));
  EXPECT_NE(page.find("NOT ASSESSED"), std::string::npos);
  EXPECT_NE(page.find("No center was scored."), std::string::npos);
  EXPECT_NE(page.find("No threshold was registered"), std::string::npos);
}

TEST(ReportHtml, FewerThanThreeCentersSayThatANewHospitalCannotBeDescribed) {
  study::Results results = SampleResults();
  for (study::SummaryRow& row : results.summary) {
    study::SummaryRow bare;
    bare.model = row.model;
    bare.features = row.features;
    bare.harmonization = row.harmonization;
    bare.primary = row.primary;
    bare.k = 2;
    bare.reason = "an average takes 3 centers; here 2 of 6 can enter one";
    row = bare;
  }
  const std::string two = WithoutScripts(Html(results));
  EXPECT_EQ(two.find("in these averages"), std::string::npos);
  EXPECT_EQ(two.find("AUC in an average new hospital"), std::string::npos);
  EXPECT_NE(two.find("<b>6</b><span>held-out centers"), std::string::npos);
  EXPECT_NE(two.find("nothing here describes a new hospital: an average takes 3 centers; here 2 of "
                     "6 can enter one."),
            std::string::npos);
  results.summary.clear();
  EXPECT_NE(WithoutScripts(Html(results)).find("Too few centers (k &lt; 3)"), std::string::npos);
}

TEST(ReportHtml, DamagedFilesAreNamed) {
  const study::Results results = SampleResults();
  const std::string json = ReportJson(results);
  const auto cut = ReportHtml(json.substr(0, json.size() / 2), ReportTables(results));
  ASSERT_FALSE(cut.has_value());
  EXPECT_EQ(cut.error().code, ErrorCode::kDataLoss);
  EXPECT_NE(cut.error().message.find("report.json"), std::string::npos);
  const auto other_schema = ReportHtml("{\"schema\": \"other/9\"}", {});
  ASSERT_FALSE(other_schema.has_value());
  EXPECT_NE(other_schema.error().message.find("schema"), std::string::npos);
  const auto no_rows = ReportHtml("{\"schema\": \"consilium.report/1\"}", {});
  ASSERT_FALSE(no_rows.has_value());
  EXPECT_NE(no_rows.error().message.find("report.json: results"), std::string::npos);
  std::vector<ReportTable> tables = ReportTables(results);
  tables[0].csv = "model,term\nlasso,age\n";
  const auto no_column = ReportHtml(json, tables);
  ASSERT_FALSE(no_column.has_value());
  EXPECT_NE(no_column.error().message.find("coefficients.csv:1"), std::string::npos);
}

TEST(ReportHtml, MissingTablesLeaveARemark) {
  const auto page = ReportHtml(ReportJson(SampleResults()), {});
  ASSERT_TRUE(page.has_value());
  EXPECT_NE(page->find("coefficients.csv was not at hand"), std::string::npos);
}

// A report.json that someone else wrote: any value of any type in any place is an error or a page.
TEST(ReportHtml, NoReportJsonEndsTheProgram) {
  const std::string json = ReportJson(SampleResults());
  EXPECT_TRUE(rc::check([&] {
    std::string damaged = json;
    const auto at = *rc::gen::inRange<std::size_t>(0, damaged.size());
    damaged[at] = *rc::gen::element('0', '"', '{', ']', ',', 'n', '\x80');
    (void)ReportHtml(damaged, {});
  }));
  for (const char* value : {"null", "1", "\"text\"", "[]", "[[1]]", "{}", "[{\"points\": [3]}]",
                            "{\"a\": 1}", "{\"sites\": {\"a\": 1}, \"sentences\": 2}"}) {
    for (const char* key : {"verdict", "results", "summary", "roc", "calibration", "net_benefit",
                            "dropped_features", "flow", "bytes_up", "disclosure", "provenance"}) {
      const std::size_t begin = json.find(fmt::format("\n \"{}\": ", key));
      ASSERT_NE(begin, std::string::npos) << key;
      const std::size_t end = json.find("\n \"", begin + 1);
      const std::string changed = json.substr(0, begin) + fmt::format("\n \"{}\": {}", key, value) +
                                  (end == std::string::npos ? "}" : "," + json.substr(end));
      (void)ReportHtml(changed, {});
    }
  }
}

// To look at the page: CONSILIUM_WRITE_SAMPLE_REPORT=/tmp/report.html report_test
TEST(ReportHtml, TheSamplePageIsWrittenWhereTheReviewerAsks) {
  const std::string page = Html(SampleResults());
  EXPECT_GT(page.size(), 100'000u);
  if (const char* path = std::getenv("CONSILIUM_WRITE_SAMPLE_REPORT")) {
    std::ofstream out(path, std::ios::binary);
    out << page;
    EXPECT_TRUE(out.good()) << path;
  }
}

}  // namespace
}  // namespace consilium::coordinator
