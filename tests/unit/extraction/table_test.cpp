#include "extraction/table.h"

#include <gtest/gtest.h>

#include "base/csv.h"

namespace consilium::extraction {
namespace {

RegionRow Row(const std::string& region, std::vector<double> values) {
  return {region, {{"spacing_mm", "1 1 3"}}, {"f", "g"}, std::move(values), {}};
}

CaseList ListOf(std::string_view rows) {
  auto list =
      ReadCaseList("id,image,mask,patient,sequence,time,age\n" + std::string(rows), "c", ".");
  EXPECT_TRUE(list.has_value()) << list.error().message;
  return std::move(*list);
}

TEST(Tables, ARowARegionWithWhatTheListSaid) {
  const CaseList list = ListOf("a,i,m,,,,61\nb,i,m,,,,58\n");
  std::vector<CaseOutcome> outcomes;
  outcomes.push_back({&list.cases[0], {{Row("1", {1.5, 2})}, {}}});
  outcomes.push_back({&list.cases[1], {{Row("1", {3, 4}), Row("2", {5, 6})}, {{"3", "is empty"}}}});
  const auto tables = MakeTables(list, outcomes);
  ASSERT_TRUE(tables.has_value()) << tables.error().message;
  EXPECT_EQ(tables->features,
            "id,patient,region,age,spacing_mm,f,g\n"
            "a,a,1,61,1 1 3,1.5,2\n"
            "b/1,b,1,58,1 1 3,3,4\n"
            "b/2,b,2,58,1 1 3,5,6\n");
  EXPECT_EQ(tables->problems, "id,region,kind,message\nb,3,failure,is empty\n");
  EXPECT_EQ(tables->row_count, 3U);
  EXPECT_FALSE(tables->patients.has_value());
}

TEST(Tables, APatientsImagesBecomeColumnsAndLaterOnesDifferences) {
  const CaseList list = ListOf(
      "a3,i,m,A,T1,10,61\n"
      "a1,i,m,A,T1,9,61\n"
      "a2,i,m,A,T2,9,61\n"
      "b1,i,m,B,T1,9,50\n");
  std::vector<CaseOutcome> outcomes;
  double value = 1;
  for (const Case& one : list.cases) outcomes.push_back({&one, {{Row("1", {value++, 8})}, {}}});
  const auto tables = MakeTables(list, outcomes);
  ASSERT_TRUE(tables.has_value()) << tables.error().message;
  ASSERT_TRUE(tables->patients.has_value());
  const auto table = ParseCsv(*tables->patients, "patients.csv");
  ASSERT_TRUE(table.has_value()) << table.error().message;
  ASSERT_EQ(table->row_count(), 2U);
  const auto cell = [&](std::size_t row, std::string_view column) {
    const auto at = table->Column(column);
    EXPECT_TRUE(at.has_value()) << column;
    return at ? std::string(table->Cell(row, *at)) : "";
  };
  EXPECT_EQ(cell(0, "patient"), "A");
  EXPECT_EQ(cell(0, "time-9_T1_f"), "2");  // 9 is before 10, as numbers
  EXPECT_EQ(cell(0, "time-10_T1_f"), "1");
  EXPECT_EQ(cell(0, "delta-10_T1_f"), "-1");
  EXPECT_EQ(cell(0, "relative-delta-10_T1_f"), "-0.5");
  EXPECT_EQ(cell(0, "time-9_T2_f"), "3");
  EXPECT_EQ(cell(1, "time-9_T1_f"), "4");
  EXPECT_EQ(cell(1, "delta-10_T1_f"), "");
  EXPECT_EQ(cell(1, "age"), "50");
}

TEST(Tables, PerturbedRegionsHaveATableOfTheirOwn) {
  const CaseList list = ListOf("a,i,m,A,,,61\nb,i,m,B,,,58\n");
  std::vector<CaseOutcome> outcomes;
  for (const Case& one : list.cases) {
    Outcome outcome{{Row("1", {1, 2}), Row("1", {3, 4}), Row("1", {5, 6})}, {}};
    outcome.rows[1].perturbation = "R-6";
    outcome.rows[2].perturbation = "R6";
    outcomes.push_back({&one, std::move(outcome)});
  }
  const auto tables = MakeTables(list, outcomes);
  ASSERT_TRUE(tables.has_value()) << tables.error().message;
  EXPECT_EQ(tables->features,
            "id,patient,region,age,spacing_mm,f,g\na,A,1,61,1 1 3,1,2\nb,B,1,58,1 1 3,1,2\n");
  EXPECT_EQ(tables->perturbations,
            "id,patient,region,perturbation,age,spacing_mm,f,g\n"
            "a,A,1,R-6,61,1 1 3,3,4\na,A,1,R6,61,1 1 3,5,6\n"
            "b,B,1,R-6,58,1 1 3,3,4\nb,B,1,R6,58,1 1 3,5,6\n");
  EXPECT_EQ(tables->row_count, 2U);
}

TEST(Tables, FeaturesStandBehindTheProvenanceOfAllRows) {
  const CaseList list = ListOf("a,i,m,,,,61\nb,i,m,,,,58\n");
  RegionRow file = Row("1", {1, 2}), series = Row("1", {3, 4});
  file.provenance = {{"spacing_mm", "1"}, {kBeforeFeatures, "9"}};
  series.provenance = {{"spacing_mm", "1"}, {"field_strength_t", "3"}, {kBeforeFeatures, "8"}};
  const auto tables =
      MakeTables(list, {{&list.cases[0], {{file}, {}}}, {&list.cases[1], {{series}, {}}}});
  ASSERT_TRUE(tables.has_value()) << tables.error().message;
  EXPECT_EQ(tables->features,
            "id,patient,region,age,spacing_mm,field_strength_t,voxels_of_intensities,f,g\n"
            "a,a,1,61,1,,9,1,2\nb,b,1,58,1,3,8,3,4\n");
}

TEST(Tables, RatersAndScansAreToldWithTheirNames) {
  const auto list = ReadCaseList(
      "id,image,mask,patient,sequence,rater,scan\n"
      "a,i,m,A,T1,anna,1\nb,i,m,A,T1,bea,1\nc,i,m,A,T1,anna,2\n",
      "c", ".");
  ASSERT_TRUE(list.has_value()) << list.error().message;
  std::vector<CaseOutcome> outcomes;
  for (const Case& one : list->cases) outcomes.push_back({&one, {{Row("1", {1, 2})}, {}}});
  const auto tables = MakeTables(*list, outcomes);
  ASSERT_TRUE(tables.has_value()) << tables.error().message;
  EXPECT_EQ(tables->patients->substr(0, tables->patients->find('\n')),
            "patient,T1_rater-anna_scan-1_f,T1_rater-anna_scan-1_g,T1_rater-bea_scan-1_f,"
            "T1_rater-bea_scan-1_g,T1_rater-anna_scan-2_f,T1_rater-anna_scan-2_g");
}

TEST(Tables, ImagesOfAPatientThatNothingTellsApartAreRefused) {
  const CaseList twins = ListOf("a1,i,m,A,T1,,61\na2,i,m,A,T1,,61\n");
  std::vector<CaseOutcome> outcomes;
  for (const Case& one : twins.cases) outcomes.push_back({&one, {{Row("1", {1, 2})}, {}}});
  const auto tables = MakeTables(twins, outcomes);
  ASSERT_FALSE(tables.has_value());
  EXPECT_NE(tables.error().message.find("a1 and a2"), std::string::npos);

  const CaseList other_ages = ListOf("a1,i,m,A,T1,,61\na2,i,m,A,T2,,62\n");
  outcomes.clear();
  for (const Case& one : other_ages.cases) outcomes.push_back({&one, {{Row("1", {1, 2})}, {}}});
  const auto refused = MakeTables(other_ages, outcomes);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("column 'age'"), std::string::npos);
}

}  // namespace
}  // namespace consilium::extraction
