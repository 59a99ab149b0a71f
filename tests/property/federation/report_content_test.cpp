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
