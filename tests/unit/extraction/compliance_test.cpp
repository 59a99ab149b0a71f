#include <gtest/gtest.h>

#include <cmath>

#include "base/csv.h"
#include "extraction/compliance/comparison.h"
#include "extraction/compliance/report.h"
#include "tests/support/scratch_folder.h"

namespace consilium::compliance {
namespace {

const double kNone = std::nan("");

Expected Wanted(const std::string& key, double reference, double tolerance) {
  Comparison row;
  row.configuration = "A";
  row.feature = key;
  row.reference = reference;
  row.tolerance = tolerance;
  return {key, row};
}

TEST(JudgeNumber, HoldsUpToTheToleranceAndNotBeyond) {
  EXPECT_EQ(JudgeNumber(2, 0.5, 2.5), Verdict::kHolds);
  EXPECT_EQ(JudgeNumber(2, 0.5, 1.5), Verdict::kHolds);
  EXPECT_EQ(JudgeNumber(2, 0.5, std::nextafter(2.5, 3)), Verdict::kDiffers);
  EXPECT_EQ(JudgeNumber(2, 0.5, std::nextafter(1.5, 1)), Verdict::kDiffers);
  EXPECT_EQ(JudgeNumber(2, 0, 2), Verdict::kHolds);
  EXPECT_EQ(JudgeNumber(2, 0.5, HUGE_VAL), Verdict::kDiffers);
}

TEST(JudgeNumber, WhatIsNotDefinedIsMissingAndWhatHasNoReferenceIsNotCompared) {
  EXPECT_EQ(JudgeNumber(2, 0.5, kNone), Verdict::kMissing);
  EXPECT_EQ(JudgeNumber(kNone, kNone, 2), Verdict::kNotCompared);
  EXPECT_EQ(JudgeNumber(kNone, kNone, kNone), Verdict::kNotCompared);
  // A reference without a tolerance holds nothing.
  EXPECT_EQ(JudgeNumber(2, kNone, 2), Verdict::kDiffers);
}

TEST(JudgeThreeDigits, RoundsOursLikeTheReference) {
  EXPECT_EQ(JudgeThreeDigits(0.123, 0, 0.12345), Verdict::kHolds);
  EXPECT_EQ(JudgeThreeDigits(0.123, 0, 0.12351), Verdict::kDiffers);
  EXPECT_EQ(JudgeThreeDigits(-12.3, 0.1, -12.44), Verdict::kHolds);
  EXPECT_EQ(JudgeThreeDigits(-12.3, 0.1, -12.46), Verdict::kDiffers);
  EXPECT_EQ(JudgeThreeDigits(0, 0, 1e-12), Verdict::kDiffers);
  EXPECT_EQ(JudgeThreeDigits(2, 0.5, kNone), Verdict::kMissing);
}

TEST(JudgeThreeDigits, CountsFromAThousandOnHaveAllTheirDigitsOrThree) {
  EXPECT_EQ(JudgeThreeDigits(125256, 0, 125256), Verdict::kHolds);
  EXPECT_EQ(JudgeThreeDigits(125256, 0, 125257), Verdict::kDiffers);
  EXPECT_EQ(JudgeThreeDigits(39200, 0, 39151), Verdict::kHolds);
  EXPECT_EQ(JudgeThreeDigits(39200, 0, 39149), Verdict::kDiffers);
}

TEST(Compare, SaysWhatIsMissingAndWhatTheReferenceDoesNotKnow) {
  const std::vector<Expected> wanted = {Wanted("volume", 10, 1), Wanted("area", 5, 0.1),
                                        Wanted("length", 3, 0.1)};
  const Values ours = {{"area", 7}, {"colour", 1}, {"volume", 10.5}};
  const auto rows = Compare(wanted, ours, JudgeNumber, Surplus::kUnknown);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].verdict, Verdict::kHolds);
  EXPECT_EQ(rows[0].ours, 10.5);
  EXPECT_EQ(rows[1].verdict, Verdict::kDiffers);
  EXPECT_EQ(rows[2].verdict, Verdict::kMissing);
  EXPECT_TRUE(std::isnan(rows[2].ours));
  EXPECT_EQ(rows[3].verdict, Verdict::kUnknown);
  EXPECT_EQ(rows[3].feature, "colour");
  EXPECT_EQ(rows[3].configuration, "A");
  EXPECT_EQ(rows[3].ours, 1);
  EXPECT_EQ(Compare(wanted, ours, JudgeNumber, Surplus::kLeaveOut).size(), 3U);
}

// A set of one part that gives `rows`.
ReferenceSet SetOf(std::vector<Comparison> rows) {
  ReferenceSet set;
  set.name = "Set";
  set.rule = "A value holds.";
  set.parts.push_back({"part", {}, [=]() -> Result<std::vector<Comparison>> { return rows; }});
  return set;
}
Report ReportOf(std::vector<Comparison> rows) {
  auto report =
      RunReferenceSets({SetOf(std::move(rows))}, [](std::size_t, std::size_t, const auto&) {});
  EXPECT_TRUE(report.has_value());
  return report ? *report : Report();
}
Comparison RowOf(Verdict verdict, const std::string& feature, const std::string& cause = "") {
  Comparison row = Wanted(feature, 1, 0.5).row;
  row.ours = 2;
  row.verdict = verdict;
  row.cause = cause;
  return row;
}

TEST(Report, HoldsUnlessAValueDiffersIsMissingOrUnknown) {
  for (const Verdict verdict : {Verdict::kHolds, Verdict::kExplained, Verdict::kNotCompared,
                                Verdict::kDiffers, Verdict::kMissing, Verdict::kUnknown}) {
    const bool holds = verdict == Verdict::kHolds || verdict == Verdict::kExplained ||
                       verdict == Verdict::kNotCompared;
    EXPECT_EQ(ReportOf({RowOf(Verdict::kHolds, "a"), RowOf(verdict, "b")}).Holds(), holds)
        << Name(verdict);
  }
}

TEST(Report, PartsWithoutTheirFilesAreSaidAndWithoutAnyItIsAnError) {
  const auto ignore = [](std::size_t, std::size_t, const std::string&) {};
  ReferenceSet set = SetOf({RowOf(Verdict::kHolds, "a")});
  ReferenceSet absent = set;
  absent.parts[0].files = {"no-such-folder/image.nii.gz"};
  const auto none = RunReferenceSets({absent}, ignore);
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  const auto some = RunReferenceSets({absent, set}, ignore);
  ASSERT_TRUE(some.has_value());
  EXPECT_TRUE(some->sets[0].rows.empty());
  EXPECT_EQ(some->sets[0].left_out, (std::vector<std::string>{"part: image.nii.gz is not there"}));
  EXPECT_EQ(some->sets[1].rows.size(), 1U);
  EXPECT_NE(HtmlOf(*some).find("image.nii.gz is not there"), std::string::npos);
  EXPECT_NE(TextOf(*some).find("not run: part: image.nii.gz is not there"), std::string::npos);
}

TEST(Report, AnErrorOfAPartNamesSetAndPart) {
  ReferenceSet set = SetOf({});
  set.parts[0].compare = []() -> Result<std::vector<Comparison>> {
    return Fail(ErrorCode::kInvalidArgument, "no image");
  };
  const auto report = RunReferenceSets({set}, [](std::size_t, std::size_t, const auto&) {});
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().message, "Set, part: no image");
}

TEST(Report, ExceptionsAreGroupedByVerdictAndCause) {
  const Report report =
      ReportOf({RowOf(Verdict::kHolds, "a"), RowOf(Verdict::kExplained, "b", "stale"),
                RowOf(Verdict::kDiffers, "c"), RowOf(Verdict::kExplained, "d", "stale"),
                RowOf(Verdict::kHolds, "e", "to 2e-6")});
  const auto exceptions = ExceptionsOf(report.sets[0]);
  ASSERT_EQ(exceptions.size(), 3U);
  EXPECT_EQ(exceptions[0].rows.size(), 2U);
  EXPECT_EQ(exceptions[1].verdict, Verdict::kDiffers);
  EXPECT_EQ(exceptions[2].cause, "to 2e-6");
  EXPECT_NE(TextOf(report).find("2 of 5 hold"), std::string::npos);
  EXPECT_NE(TextOf(report).find("A: c: 2, expected 1 +- 0.5"), std::string::npos);
}

TEST(Report, TheTableReadsBackRowByRow) {
  Comparison odd = RowOf(Verdict::kMissing, "a, \"b\"", "=cause");
  odd.ours = kNone;
  const auto table = ParseCsv(CsvOf(ReportOf({RowOf(Verdict::kHolds, "x"), odd})), "c.csv");
  ASSERT_TRUE(table.has_value()) << table.error().message;
  ASSERT_EQ(table->row_count(), 2U);
  EXPECT_EQ(table->Cell(0, *table->Column("ours")), "2");
  EXPECT_EQ(table->Cell(1, *table->Column("feature")), "a, \"b\"");
  EXPECT_EQ(table->Cell(1, *table->Column("ours")), "");
  EXPECT_EQ(table->Cell(1, *table->Column("verdict")), "missing");
}

TEST(Page, EscapesWhateverTheTablesHold) {
  const std::string hostile = "<script>x()</script>\"'&";
  Comparison row = RowOf(Verdict::kDiffers, hostile, hostile);
  row.configuration = row.family = row.aggregation = row.ibsi_code = hostile;
  Report report = ReportOf({row});
  report.sets[0].name = report.sets[0].rule = hostile;
  report.sets[0].left_out = {hostile};
  const std::string page = HtmlOf(report);
  EXPECT_EQ(page.find(hostile), std::string::npos);
  EXPECT_EQ(page.find("<script>x"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;x()&lt;/script&gt;&quot;&#39;&amp;"), std::string::npos);
}

TEST(Page, HasEveryComparedRowAndNothingFromElsewhere) {
  const std::string page =
      HtmlOf(ReportOf({RowOf(Verdict::kHolds, "joint_entropy"),
                       RowOf(Verdict::kNotCompared, "never_shown", "no consensus")}));
  EXPECT_NE(page.find("<td>joint_entropy</td>"), std::string::npos);
  EXPECT_EQ(page.find("never_shown"), std::string::npos);
  EXPECT_NE(page.find("1 not compared</span>: no consensus"), std::string::npos);
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  for (const char* outside : {"http:", "https:", "src=", "href=", "@import", "url("})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
}

TEST(Report, IsWrittenAsTwoFiles) {
  const testing_support::ScratchFolder folder;
  const Report report = ReportOf({RowOf(Verdict::kHolds, "a")});
  const auto written = WriteReport(report, folder.path() / "out");
  ASSERT_TRUE(written.has_value()) << written.error().message;
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "out" / "compliance.csv"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "out" / "compliance.html"));
}

}  // namespace
}  // namespace consilium::compliance
