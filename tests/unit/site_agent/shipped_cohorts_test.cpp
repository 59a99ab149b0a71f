// The cohort files that are shipped, on the published tables: row sets and folds equal the
// references'.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/csv.h"
#include "site_agent/cohort_table.h"
#include "study/study_file.h"

namespace consilium::site_agent {
namespace {

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool HaveSharedData(const std::string& file) {
  return std::filesystem::exists(std::string(CONSILIUM_SHARED_DIR) + "/" + file);
}

struct Loaded {
  study::Study study;
  std::map<std::string, federation::Cohort> cohorts;
};

// Reads a shipped study and builds the cohort of every site.
Loaded Load(const std::string& name, const std::string& data) {
  const std::string folder = std::string(CONSILIUM_SOURCE_DIR) + "/deploy/studies/" + name + "/";
  Loaded loaded;
  const auto study = study::ParseStudy(FileText(folder + "study.yaml"), "study.yaml");
  EXPECT_TRUE(study.has_value()) << study.error().message;
  if (!study) return loaded;
  bool resolved = false;
  for (const std::string& site : study->sites) {
    const auto file = ParseCohortFile(FileText(folder + site + ".yaml"), site + ".yaml");
    EXPECT_TRUE(file.has_value()) << file.error().message;
    if (!file) return loaded;
    const std::string text = FileText(data + "/" + file->radiomics);
    if (!resolved) {
      const auto header = RadiomicsHeader(*file, text);
      EXPECT_TRUE(header.has_value()) << header.error().message;
      const auto with_features = study::ResolveFeatures(*study, *header);
      EXPECT_TRUE(with_features.has_value()) << with_features.error().message;
      if (!with_features) return loaded;
      loaded.study = *with_features;
      resolved = true;
    }
    auto cohort = BuildCohort(*file, loaded.study, text, std::nullopt, {});
    EXPECT_TRUE(cohort.has_value()) << cohort.error().message;
    if (cohort) loaded.cohorts[site] = std::move(*cohort);
  }
  return loaded;
}

TEST(ShippedCohorts, Lung6HasTheRowsTheFoldsAndTheFeaturesOfTheReference) {
  if (!HaveSharedData("data/lung6/HarvardRT.csv") ||
      !HaveSharedData("reference/learning/lung6/foldid.csv")) {
    GTEST_SKIP() << "skipped: no lung6 data and folds under " << CONSILIUM_SHARED_DIR;
  }
  const std::string shared(CONSILIUM_SHARED_DIR);
  const Loaded loaded = Load("lung6", shared + "/data/lung6");
  ASSERT_EQ(loaded.cohorts.size(), 6U);
  EXPECT_EQ(loaded.study.feature_columns.size(), 892U);
  EXPECT_EQ(loaded.study.feature_columns.front(), "original_shape_Maximum3DDiameter");

  const auto folds =
      ParseCsv(FileText(shared + "/reference/learning/lung6/foldid.csv"), "foldid.csv");
  ASSERT_TRUE(folds.has_value());
  std::map<std::string, std::size_t> next;
  for (std::size_t row = 0; row < folds->row_count(); ++row) {
    const std::string site(folds->Cell(row, 0));
    const federation::Cohort& cohort = loaded.cohorts.at(site);
    const std::size_t at = next[site]++;
    ASSERT_LT(at, cohort.fold.size()) << site;
    // The patient is the row number of the published file.
    ASSERT_EQ(cohort.patient_ids[static_cast<std::size_t>(cohort.patient[at])], folds->Cell(row, 1))
        << site;
    ASSERT_EQ(cohort.fold[at], *ParseNumber(folds->Cell(row, 2)))
        << site << " row " << folds->Cell(row, 1);
  }
  const std::map<std::string, std::pair<int, int>> rows_and_deaths = {
      {"HarvardRT", {291, 133}}, {"Radboud", {104, 76}}, {"Maastro", {210, 150}},
      {"Moffitt", {183, 50}},    {"MUMC", {88, 24}},     {"M-SPORE", {97, 17}}};
  for (const auto& [site, expected] : rows_and_deaths) {
    const federation::Cohort& cohort = loaded.cohorts.at(site);
    EXPECT_EQ(cohort.row_count(), expected.first) << site;
    EXPECT_EQ(next[site], static_cast<std::size_t>(expected.first)) << site;
    EXPECT_EQ(cohort.outcome.sum(), expected.second) << site;
  }
  EXPECT_EQ(loaded.cohorts.at("HarvardRT").flow.at(1).reason, "excluded: all features missing");
  EXPECT_EQ(loaded.cohorts.at("HarvardRT").flow.at(1).rows, 2);
  EXPECT_EQ(loaded.cohorts.at("Maastro").flow.at(1).rows, 1);

  // Columns that are complete over all rows and not constant are the reference's 887.
  const auto used = ParseCsv(FileText(shared + "/reference/learning/lung6/features_used.csv"),
                             "features_used.csv");
  ASSERT_TRUE(used.has_value());
  std::vector<std::string> complete;
  for (std::size_t j = 0; j < loaded.study.feature_columns.size(); ++j) {
    bool missing = false;
    std::set<double> values;
    for (const auto& [site, cohort] : loaded.cohorts) {
      for (Eigen::Index i = 0; i < cohort.row_count(); ++i) {
        const double value = cohort.features(i, static_cast<Eigen::Index>(j));
        missing = missing || std::isnan(value);
        if (values.size() < 2) values.insert(value);
      }
    }
    if (!missing && values.size() > 1) complete.push_back(loaded.study.feature_columns[j]);
  }
  ASSERT_EQ(complete.size(), used->row_count());
  for (std::size_t j = 0; j < complete.size(); ++j) EXPECT_EQ(complete[j], used->Cell(j, 0));
}

TEST(ShippedCohorts, HeartHasTheRowsAndTheFoldsOfTheReference) {
  if (!HaveSharedData("reference/learning/heart/input.csv")) {
    GTEST_SKIP() << "skipped: no heart table under " << CONSILIUM_SHARED_DIR;
  }
  const std::string data = std::string(CONSILIUM_SHARED_DIR) + "/reference/learning/heart";
  const Loaded loaded = Load("heart", data);
  ASSERT_EQ(loaded.cohorts.size(), 4U);
  EXPECT_EQ(loaded.study.feature_columns.size(), 13U);
  const auto input = ParseCsv(FileText(data + "/input.csv"), "input.csv");
  ASSERT_TRUE(input.has_value());
  std::map<std::string, Eigen::Index> next;
  for (std::size_t row = 0; row < input->row_count(); ++row) {
    const std::string site(input->Cell(row, *input->Column("centre")));
    const federation::Cohort& cohort = loaded.cohorts.at(site);
    const Eigen::Index at = next[site]++;
    ASSERT_LT(at, cohort.row_count());
    EXPECT_EQ(cohort.fold[static_cast<std::size_t>(at)],
              *ParseNumber(input->Cell(row, *input->Column("foldid"))));
    EXPECT_EQ(cohort.outcome(at), *ParseNumber(input->Cell(row, *input->Column("y"))));
    for (Eigen::Index j = 0; j < 13; ++j) {
      const auto column = input->Column(loaded.study.feature_columns[static_cast<std::size_t>(j)]);
      EXPECT_EQ(cohort.features(at, j), *ParseNumber(input->Cell(row, *column)));
    }
  }
  EXPECT_EQ(next, (std::map<std::string, Eigen::Index>{
                      {"cleveland", 303}, {"hungarian", 261}, {"switzerland", 46}, {"va", 130}}));
  EXPECT_EQ(loaded.cohorts.at("va").flow.at(1).reason, "excluded: other center");
  EXPECT_EQ(loaded.cohorts.at("va").flow.at(1).rows, 610);
}

}  // namespace
}  // namespace consilium::site_agent
