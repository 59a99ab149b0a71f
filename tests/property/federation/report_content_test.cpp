// What a whole study says in its report: calibration groups and sentences.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include "tests/support/small_study.h"

namespace consilium {
namespace {

TEST(ReportContent, CalibrationGroupsAddUpToTheCenterAndNoneIsSmall) {
  testing::SmallStudyOptions options;
  options.leave_one_center_out = true;
  const auto run = testing::MustRun(testing::MustAssemble(options, testing::SmallHospitals()));
  ASSERT_EQ(run.results.calibration.size(), 8U);
  std::size_t most = 0;
  for (const study::CalibrationRow& row : run.results.calibration) {
    SCOPED_TRACE(row.key.held_out + " " + row.key.harmonization);
    std::int64_t rows = 0, events = 0;
    double expected = 0, last = 0;
    for (const study::CalibrationGroup& group : row.groups) {
      EXPECT_GE(group.n, 5);
      EXPECT_GT(group.mean_risk, last);
      last = group.mean_risk;
      rows += group.n;
      events += group.events;
      expected += static_cast<double>(group.n) * group.mean_risk;
    }
    EXPECT_EQ(rows, row.n);
    EXPECT_EQ(static_cast<double>(events), row.observed);
    EXPECT_NEAR(expected, row.expected, 1e-9);
    most = std::max(most, row.groups.size());
  }
  EXPECT_GE(most, 4U);  // groups of tenths, not one of all rows
}

// No criterion judges calibration, so the verdict's text must name each center where it is off.
TEST(ReportContent, TheVerdictNamesTheCentersWhoseRisksAreWrong) {
  testing::SmallStudyOptions options;
  options.leave_one_center_out = true;
  // The second study's south has other patients: its outcomes are turned around for a third.
  auto hospitals = testing::SmallHospitals();
  for (const bool changed : {false, true}) {
    if (changed) {
      for (std::size_t i = 0; i < hospitals[2].cases.size(); i += 3)
        hospitals[2].cases[i].outcome = 1;
    }
    const auto run = testing::MustRun(testing::MustAssemble(options, hospitals));
    const std::string& said = run.results.verdict.sentences.back();
    ASSERT_EQ(said.find("Calibration is in no criterion: "), 0U) << said;
    int off = 0;
    for (const study::CalibrationRow& row : run.results.calibration) {
      if (row.key.harmonization != "none") continue;  // the primary's
      const bool wrong = row.citl_ci.lower > 0 || row.citl_ci.upper < 0 || row.slope_ci.lower > 1 ||
                         row.slope_ci.upper < 1;
      off += wrong ? 1 : 0;
      EXPECT_EQ(said.find(row.key.held_out) != std::string::npos, wrong)
          << row.key.held_out << ": " << said;
      const auto part = [&](std::string_view what) {
        const std::size_t at = said.find(what);
        return at == std::string::npos ? std::string() : said.substr(at, said.find(';', at) - at);
      };
      EXPECT_EQ(part("too low").find(row.key.held_out) != std::string::npos, row.citl_ci.lower > 0)
          << said;
      EXPECT_EQ(part("slope is below 1").find(row.key.held_out) != std::string::npos,
                row.slope_ci.upper < 1)
          << said;
    }
    EXPECT_EQ(said.find("at no held-out center") != std::string::npos, off == 0) << said;
    EXPECT_GE(off, changed ? 1 : 0) << said;
  }
}

TEST(ReportContent, TooFewCentersForAnAverageAreSaidInPlainWords) {
  const auto run = testing::MustRun(testing::MustAssemble({}, testing::SmallHospitals()));
  ASSERT_FALSE(run.results.summary.empty());
  for (const study::SummaryRow& row : run.results.summary) {
    EXPECT_EQ(row.k, 1);
    EXPECT_EQ(row.reason, "an average takes 3 centers; here 1 of 1 can enter one");
  }
}

TEST(ReportContent, NoSentenceOnNetBenefitNamesItsSubjectTwice) {
  const auto run = testing::MustRun(testing::MustAssemble({}, testing::SmallHospitals()));
  ASSERT_FALSE(run.results.net_benefit_tests.empty());
  for (const study::NetBenefitTest& test : run.results.net_benefit_tests) {
    std::string text = test.sentence;
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    ASSERT_EQ(text.find("net benefit"), 0U) << test.sentence;
    EXPECT_EQ(text.rfind("net benefit"), 0U) << test.sentence;
    EXPECT_EQ(text.back(), '.') << test.sentence;
  }
}

}  // namespace
}  // namespace consilium
