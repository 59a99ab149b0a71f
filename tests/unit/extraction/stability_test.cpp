#include "extraction/stability.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/csv.h"
#include "base/rng.h"
#include "study/study_file.h"

namespace consilium::extraction {
namespace {

CsvTable Parsed(const std::string& text) {
  auto table = ParseCsv(text, "stability.csv");
  EXPECT_TRUE(table.has_value()) << (table ? "" : table.error().message);
  return table ? std::move(*table) : CsvTable();
}
std::string CellOf(const CsvTable& table, std::size_t row, const std::string& column) {
  const auto at = table.Column(column);
  EXPECT_TRUE(at.has_value()) << column;
  return at ? std::string(table.Cell(row, *at)) : "";
}
double NumberOf(const CsvTable& table, std::size_t row, const std::string& column) {
  return ParseNumber(CellOf(table, row, column)).value_or(std::nan(""));
}

Stability Measured(const std::string& table, const std::string& column) {
  auto stability = MeasureStability(table, "features.csv", {column, {}});
  EXPECT_TRUE(stability.has_value()) << (stability ? "" : stability.error().message);
  return stability ? std::move(*stability) : Stability();
}
std::string RefusalOf(const std::string& table, const RepeatDesign& design) {
  const auto refused = MeasureStability(table, "features.csv", design);
  EXPECT_FALSE(refused.has_value());
  return refused ? "" : refused.error().message;
}

TEST(StabilityOfRaters, IsThatOfShroutAndFleiss) {
  // Their table 2, judge by judge.
  const std::vector<std::vector<int>> judges = {
      {9, 6, 8, 7, 10, 6}, {2, 1, 4, 1, 5, 2}, {5, 3, 6, 2, 6, 4}, {8, 2, 8, 6, 9, 7}};
  std::string table = "id,patient,rater,region,voxels_of_intensities,rating\n";
  for (std::size_t judge = 0; judge < 4; ++judge) {
    for (std::size_t target = 0; target < 6; ++target)
      table +=
          fmt::format("{0}-{1},P{0},{1},GTV-{1},9,{2}\n", target, judge, judges[judge][target]);
  }
  const CsvTable csv = Parsed(ToCsv(Measured(table, "rater")));
  ASSERT_EQ(csv.row_count(), 1U);
  EXPECT_EQ(CellOf(csv, 0, "feature"), "rating");
  EXPECT_EQ(CellOf(csv, 0, "repeats"), "0;1;2;3");
  for (const auto& [column, count] : {std::pair{"n", 6}, {"patients", 6}, {"k", 4}, {"sites", 1}})
    EXPECT_EQ(NumberOf(csv, 0, column), count) << column;
  for (const auto& [name, value, low, high] :
       {std::tuple{"icc11", 0.165741768405, -0.132932324875, 0.722560062328},
        std::tuple{"icc21", 0.289763779528, 0.0187865133747, 0.761084369649},
        std::tuple{"icc31", 0.714840714841, 0.342464765034, 0.945858259955}}) {
    EXPECT_NEAR(NumberOf(csv, 0, name), value, 1e-11);
    EXPECT_NEAR(NumberOf(csv, 0, std::string(name) + "_low"), low, 1e-11);
    EXPECT_NEAR(NumberOf(csv, 0, std::string(name) + "_high"), high, 1e-11);
  }
  EXPECT_NEAR(NumberOf(csv, 0, "within_sd"), std::sqrt(6.26), 1e-3);  // their table 3
  EXPECT_NEAR(NumberOf(csv, 0, "ccc"), 460.0 / 1813, 1e-12);  // by its definition, in fractions
  EXPECT_EQ(CellOf(csv, 0, "ccc_low"), "");
}

// Rows of patients from `first` on: a feature far from 0, one near 0, and one with gaps.
std::string Rows(std::uint64_t seed, int first, int patients, int scans) {
  Rng rng(seed, "patients", static_cast<std::uint64_t>(first));
  std::string rows;
  for (int patient = first; patient < first + patients; ++patient) {
    const double much = 1e5 + 20 * rng.Normal() + first, little = 3 * rng.Normal();
    for (int scan = 1; scan <= scans; ++scan) {
      rows += fmt::format("P{},{},1,{},{},{}\n", patient, scan, much + rng.Normal() + scan,
                          little + rng.Normal(),
                          patient % 7 == 0 && scan == 2 ? "" : FormatNumber(rng.Normal()));
    }
  }
  return rows;
}
const std::string kHeader = "patient,scan,voxels_of_intensities,much,little,gaps\n";

RC_GTEST_PROP(StabilityOfHospitals, IsThatOfTheirPooledRows, (std::uint32_t seed)) {
  const int scans = *rc::gen::inRange(2, 5);
  std::vector<Stability> parts;
  std::vector<std::string> names;
  std::string pooled = kHeader;
  for (int first = 0; first < 300; first += 100) {
    const std::string rows = Rows(seed, first, *rc::gen::inRange(7, 25), scans);
    pooled += rows;
    // As it travels: as text.
    auto part = ReadStability(ToCsv(Measured(kHeader + rows, "scan")), "site");
    RC_ASSERT(part.has_value());
    parts.push_back(std::move(*part));
    names.emplace_back("site");
  }
  const auto together = Together(parts, names);
  RC_ASSERT(together.has_value());
  const CsvTable federated = Parsed(ToCsv(*together)),
                 whole = Parsed(ToCsv(Measured(pooled, "scan")));
  RC_ASSERT(federated.row_count() == 3U && whole.row_count() == 3U);
  for (std::size_t row = 0; row < 3; ++row) {
    RC_ASSERT(CellOf(federated, row, "sites") == "3");
    for (const char* column : {"patients", "n", "k", "left_out", "repeats", "feature"})
      RC_ASSERT(CellOf(federated, row, column) == CellOf(whole, row, column));
    for (const char* column : {"icc11", "icc11_low", "icc11_high", "icc21", "icc21_low",
                               "icc21_high", "icc31", "icc31_low", "icc31_high", "ccc", "ccc_low",
                               "ccc_high", "within_cv", "within_sd", "repeatability"}) {
      const double a = NumberOf(federated, row, column), b = NumberOf(whole, row, column);
      RC_ASSERT(std::isnan(a) == std::isnan(b));
      RC_ASSERT(std::isnan(a) || std::abs(a - b) <= 1e-9 * std::max(1.0, std::abs(b)));
    }
  }
}

TEST(StabilityOfPairs, HasLinsConcordance) {
  const std::vector<double> x = {10.1, 12.2, 9.4, 14.0, 11.5, 10.7},
                            y = {10.9, 12.4, 10.6, 13.7, 11.1, 10.2};
  std::string table = "patient,time,voxels_of_intensities,f\n";
  for (std::size_t i = 0; i < x.size(); ++i)
    table += fmt::format("P{0},9,1,{1}\nP{0},10,1,{2}\n", i, x[i], y[i]);
  const CsvTable csv = Parsed(ToCsv(Measured(table, "time")));
  const auto ccc = ConcordanceOf(*SumPairs(x, y));
  ASSERT_TRUE(ccc.has_value() && ccc->interval.has_value());
  EXPECT_EQ(CellOf(csv, 0, "repeats"), "9;10");  // as numbers
  EXPECT_NEAR(NumberOf(csv, 0, "ccc"), ccc->value, 1e-12);
  EXPECT_NEAR(NumberOf(csv, 0, "ccc_low"), ccc->interval->low, 1e-12);
  EXPECT_NEAR(NumberOf(csv, 0, "ccc_high"), ccc->interval->high, 1e-12);
}

TEST(Subjects, AreRegionsOfImagesWithAllRepeats) {
  // P1: two lesions; P2: one scan only; P3: a value is missing; P4: no scan is named.
  const Stability stability = Measured(
      "patient,lesion,scan,region,voxels_of_intensities,f\n"
      "P1,a,1,1,9,1\nP1,a,2,1,9,2\nP1,b,1,1,9,3\nP1,b,2,1,9,4\nP2,,1,1,9,5\n"
      "P3,,1,1,9,6\nP3,,2,1,9,\nP4,,,1,9,8\n",
      "scan");
  ASSERT_EQ(stability.features.size(), 1U);
  EXPECT_EQ(stability.features[0].sums.subjects, 2);
  EXPECT_EQ(stability.features[0].patients, 1);
  EXPECT_EQ(stability.features[0].left_out, 2);
  // Regions tell subjects apart where an image has several.
  const Stability regions = Measured(
      "patient,scan,region,voxels_of_intensities,f\n"
      "P1,1,1,9,1\nP1,1,2,9,2\nP1,2,1,9,3\nP1,2,2,9,4\n",
      "scan");
  EXPECT_EQ(regions.features[0].sums.subjects, 2);
  EXPECT_EQ(regions.features[0].sums.by_repeat.size(), 2U);
}

TEST(StabilityTables, RefuseWhatIsNoDesign) {
  const std::string head = "patient,scan,voxels_of_intensities,f\n";
  EXPECT_NE(RefusalOf(head + "A,1,9,1\nA,1,9,2\nA,2,9,2\n", {"scan", {}}).find("lines 2 and 3"),
            std::string::npos);
  EXPECT_NE(RefusalOf(head + "A,1,9,1\nB,1,9,2\n", {"scan", {}}).find("tells 1 repeats apart"),
            std::string::npos);
  EXPECT_NE(RefusalOf(head + "A,1;2,9,1\nA,3,9,2\n", {"scan", {}}).find("without it"),
            std::string::npos);
  EXPECT_NE(RefusalOf(head + "A,1,9,1e308\nA,2,9,1e308\n", {"scan", {}}).find("column 'f'"),
            std::string::npos);
  EXPECT_NE(RefusalOf(head + "A,1,9,1\n", {"rater", {}}).find("no column 'rater'"),
            std::string::npos);
  EXPECT_NE(RefusalOf("patient,scan,f\nA,1,9\n", {"scan", {}}).find("--features"),
            std::string::npos);
  EXPECT_NE(RefusalOf(head + "A,1,9,1\nA,2,9,1\n", {"scan", {"g*"}}).find("'g*'"),
            std::string::npos);
  EXPECT_NE(RefusalOf("patient,scan,\"f\"\"\"\nA,1,9\nA,2,9\n", {"scan", {"f*"}}).find("column 3"),
            std::string::npos);
}

TEST(StabilitySums, OfFewPatientsAreNotWritten) {
  for (const int patients : {4, 5}) {
    const std::string text = ToCsv(Measured(kHeader + Rows(1, 1, patients, 2), "scan"));
    const CsvTable csv = Parsed(text);
    EXPECT_FALSE(std::isnan(NumberOf(csv, 0, "icc11")));
    for (const char* column : {"centre", "sum_by_repeat", "sum_subject_squares", "sum_squares",
                               "sum_first_squares", "sum_relative_variances"})
      EXPECT_EQ(CellOf(csv, 0, column).empty(), patients < 5) << column;
    const auto read = ReadStability(text, "north.csv");
    EXPECT_EQ(read.has_value(), patients >= 5);
    if (!read) {
      EXPECT_EQ(read.error().code, ErrorCode::kFailedPrecondition);
    }
  }
}

TEST(StabilitySums, ThatNoMeasurementsHaveAreRefused) {
  const std::string good = ToCsv(Measured(kHeader + Rows(1, 1, 6, 2), "scan"));
  ASSERT_TRUE(ReadStability(good, "north.csv").has_value());
  const auto with = [&](const std::string& column, const std::string& cell) {
    const CsvTable table = Parsed(good);
    CsvWriter csv;
    csv.Row(table.header());
    for (std::size_t row = 0; row < table.row_count(); ++row) {
      for (std::size_t i = 0; i < table.column_count(); ++i)
        csv.Cell(table.header()[i] == column ? cell : table.Cell(row, i));
      csv.EndRow();
    }
    return csv.text();
  };
  for (const auto& [column, cell] : {std::pair{"patients", "4"},
                                     {"patients", "7"},
                                     {"n", "6.5"},
                                     {"n", "10000001"},
                                     {"sites", "0"},
                                     {"sum_squares", "-1"},
                                     {"sum_squares", "inf"},
                                     {"sum_by_repeat", "1"},
                                     {"sum_by_repeat", "1 2 3"},
                                     {"repeats", "1"},
                                     {"feature", "f*"},
                                     {"feature", "much"},
                                     {"feature", "a\"\nb"}}) {
    const auto refused = ReadStability(with(column, cell), "north.csv");
    ASSERT_FALSE(refused.has_value()) << column << " " << cell;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(refused.error().message.find("north.csv:"), std::string::npos);
  }
  EXPECT_FALSE(ReadStability("feature,n\nf,5\n", "north.csv").has_value());

  const auto north = ReadStability(good, "north.csv");
  const auto south =
      ReadStability(ToCsv(Measured(kHeader + Rows(1, 1, 6, 3), "scan")), "south.csv");
  const auto refused = Together({*north, *south}, {"north.csv", "south.csv"});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("1;2;3"), std::string::npos);
}

TEST(StableFeatures, MeetAllConditionsAndBecomeAGroupOfAStudy) {
  Stability stability = Measured(kHeader + Rows(3, 1, 40, 2), "scan");
  const CsvTable csv = Parsed(ToCsv(stability));
  const double icc = NumberOf(csv, 1, "icc31");
  const auto kept = [&](const std::vector<std::string>& texts) {
    std::vector<Condition> conditions;
    for (const auto& text : texts) {
      const auto condition = ConditionFromText(text);
      EXPECT_TRUE(condition.has_value()) << text;
      if (condition) conditions.push_back(*condition);
    }
    return StableFeatures(stability, conditions);
  };
  const std::string bound = FormatNumber(icc);  // reads back as the same number
  EXPECT_EQ(kept({"icc31>=0.75"}), (std::vector<std::string>{"much", "little"}));
  EXPECT_EQ(kept({"icc31 >= " + bound, "icc31<=" + bound}), std::vector<std::string>{"little"});
  EXPECT_TRUE(kept({"icc31>" + bound, "icc31<=" + bound}).empty());
  EXPECT_EQ(kept({"within_cv<0.01"}), std::vector<std::string>{"much"});
  stability.features[0].sums.subjects = 1;  // no figures: never kept
  EXPECT_EQ(kept({"icc31>=0.75"}), std::vector<std::string>{"little"});
  for (const char* wrong : {"icc31", "icc>=1", "icc31>=x", "icc31=>1", ""})
    EXPECT_FALSE(ConditionFromText(wrong).has_value()) << wrong;

  const auto study = study::ParseStudy(
      "name: s\nsites: [A, B, C]\noutcome: o\nevent: e\npatient: p\npolicy: public-data\n" +
          ToStudySection({"much", "log-sigma-3-0-mm-3D_glcm_Idmn"}, "2 of 3 features"),
      "s.yaml");
  ASSERT_TRUE(study.has_value()) << study.error().message;
  const auto resolved =
      study::ResolveFeatures(*study, {"little", "much", "log-sigma-3-0-mm-3D_glcm_Idmn"});
  ASSERT_TRUE(resolved.has_value()) << resolved.error().message;
  EXPECT_EQ(resolved->feature_columns,
            (std::vector<std::string>{"much", "log-sigma-3-0-mm-3D_glcm_Idmn"}));
}

}  // namespace
}  // namespace consilium::extraction
