#include "coordinator/report_tables.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/csv.h"
#include "tests/support/sample_results.h"

namespace consilium::coordinator {
namespace {

using test_support::SampleResults;
using Lines = std::vector<std::vector<std::string>>;

// Header first. Fails the test if base/csv.h would not read the file.
Lines ReadCsv(const std::string& file_name, const std::string& csv) {
  const auto table = ParseCsv(csv, file_name);
  EXPECT_TRUE(table.has_value()) << table.error().message;
  if (!table) return {{}};
  Lines lines = {table->header()};
  for (std::size_t i = 0; i < table->row_count(); ++i) {
    lines.emplace_back();
    for (std::size_t j = 0; j < table->column_count(); ++j) {
      lines.back().emplace_back(table->Cell(i, j));
    }
  }
  return lines;
}

Lines Read(const study::Results& results, const std::string& file_name) {
  for (const ReportTable& table : ReportTables(results)) {
    if (table.file_name == file_name) return ReadCsv(file_name, table.csv);
  }
  ADD_FAILURE() << "no table " << file_name;
  return {};
}

double ToDouble(const std::string& field) {
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  EXPECT_TRUE(error == std::errc() && end == field.data() + field.size()) << field;
  return value;
}

TEST(ReportTables, CoefficientsHaveThePublishedColumnsAndTheFeatureSetLast) {
  const Lines lines = Read(SampleResults(), "coefficients.csv");
  const std::vector<std::string> header = {"model", "harmonization", "held_out", "lambda",
                                           "term",  "coefficient",   "features"};
  ASSERT_EQ(lines.front(), header);
  const study::Results results = SampleResults();
  ASSERT_EQ(lines.size(), results.coefficients.size() + 1);
  for (std::size_t i = 0; i < results.coefficients.size(); ++i) {
    EXPECT_EQ(ToDouble(lines[i + 1][3]), results.coefficients[i].lambda);
    EXPECT_EQ(lines[i + 1][4], results.coefficients[i].term);
    EXPECT_EQ(ToDouble(lines[i + 1][5]), results.coefficients[i].coefficient);
    EXPECT_EQ(lines[i + 1][6], results.coefficients[i].key.features);
  }
}

TEST(ReportTables, CalibrationGroupsStandInATableOfTheirOwn) {
  const study::Results results = SampleResults();
  const Lines lines = Read(results, "calibration_groups.csv");
  const std::vector<std::string> header = {"model",
                                           "features",
                                           "harmonization",
                                           "held_out",
                                           "group",
                                           "n",
                                           "events",
                                           "mean_risk",
                                           "observed_share",
                                           "observed_share_lower",
                                           "observed_share_upper"};
  ASSERT_EQ(lines.front(), header);
  std::size_t at = 1;
  for (const study::CalibrationRow& row : results.calibration) {
    for (std::size_t g = 0; g < row.groups.size(); ++g, ++at) {
      ASSERT_LT(at, lines.size());
      const study::CalibrationGroup& group = row.groups[g];
      EXPECT_EQ(lines[at][3], row.key.held_out);
      EXPECT_EQ(lines[at][4], std::to_string(g + 1));
      EXPECT_EQ(lines[at][5], std::to_string(group.n));
      EXPECT_EQ(ToDouble(lines[at][7]), group.mean_risk);
      EXPECT_EQ(ToDouble(lines[at][8]) * static_cast<double>(group.n),
                static_cast<double>(group.events));
      // Wilson's limits are where the share lies 1.96 standard errors of the limit away.
      for (const std::size_t column : {std::size_t{9}, std::size_t{10}}) {
        const double limit = ToDouble(lines[at][column]);
        const double se = std::sqrt(limit * (1 - limit) / static_cast<double>(group.n));
        EXPECT_NEAR(std::fabs(ToDouble(lines[at][8]) - limit), 1.959963984540054 * se, 1e-12);
      }
      EXPECT_LT(ToDouble(lines[at][9]), ToDouble(lines[at][8]));
      EXPECT_GT(ToDouble(lines[at][10]), ToDouble(lines[at][8]));
    }
  }
  EXPECT_EQ(at, lines.size());
  EXPECT_GT(at, 1U);
}

TEST(ReportTables, ResultsCarryTheSameDoublesAndEmptyFieldsWhereNothingIsDefined) {
  const study::Results results = SampleResults();
  const Lines lines = Read(results, "results.csv");
  ASSERT_EQ(lines.size(), results.rows.size() + 1);
  const auto column = [&](const std::string& name) {
    const auto found = std::find(lines[0].begin(), lines[0].end(), name);
    EXPECT_NE(found, lines[0].end()) << name;
    return static_cast<std::size_t>(found - lines[0].begin());
  };
  for (std::size_t i = 0; i < results.rows.size(); ++i) {
    const study::ResultRow& row = results.rows[i];
    EXPECT_EQ(ToDouble(lines[i + 1][column("internal_auc")]), row.internal_auc);
    EXPECT_EQ(ToDouble(lines[i + 1][column("internal_auc_upper")]), row.internal_auc_ci.upper);
    const std::string& external = lines[i + 1][column("external_auc")];
    if (std::isnan(row.external_auc)) {
      EXPECT_EQ(external, "");
    } else {
      EXPECT_EQ(ToDouble(external), row.external_auc);
    }
    EXPECT_EQ(lines[i + 1][column("status")], Name(row.status));
  }
}

TEST(ReportTables, EveryTableHasAHeaderAndLinesOfItsWidth) {
  const std::vector<ReportTable> tables = ReportTables(SampleResults());
  ASSERT_EQ(tables.size(), 12u);
  for (const ReportTable& table : tables) {
    EXPECT_GT(ReadCsv(table.file_name, table.csv).size(), 1u) << table.file_name;
  }
  for (const ReportTable& table : ReportTables({})) {
    EXPECT_EQ(ReadCsv(table.file_name, table.csv).size(), 1u) << table.file_name;
  }
}

TEST(ReportTables, TheCrossValidationCurveNamesItsChosenLambdas) {
  const Lines lines = Read(SampleResults(), "cv.csv");
  const auto chosen = [&](const std::string& rule) {
    return std::count_if(lines.begin(), lines.end(),
                         [&](const auto& line) { return line.back() == rule; });
  };
  const auto fits = static_cast<std::ptrdiff_t>(SampleResults().cv.size());
  EXPECT_EQ(chosen("lambda.min"), fits);
  EXPECT_EQ(chosen("lambda.1se"), fits);
}

TEST(ReportTables, AnyNameThatIsWrittenReadsBack) {
  EXPECT_TRUE(rc::check([](const std::string& feature, const std::string& reason) {
    study::Results results;
    results.dropped_features = {{{"a,b", "\"", "\n", "\r\n"}, feature, reason}};
    const Lines lines = Read(results, "dropped_features.csv");
    const std::vector<std::string> expected = {"a,b", "\"", "\n", "\r\n", feature, reason};
    RC_ASSERT(lines.size() == 2u);
    RC_ASSERT(lines[1] == expected);
  }));
}

}  // namespace
}  // namespace consilium::coordinator
