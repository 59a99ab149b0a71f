#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/bytes.h"
#include "base/csv.h"
#include "base/digest.h"
#include "learning/auc.h"
#include "simulation/generated/tables.h"
#include "site_agent/cohort_file.h"
#include "site_agent/cohort_table.h"
#include "study/study_file.h"
#include "tests/support/expected_auc.h"

namespace consilium::simulation {
namespace {

const GeneratedStudy& Demo() {
  static const GeneratedStudy demo = GenerateHospitals();
  return demo;
}

Digest DigestOf(const GeneratedStudy& study) {
  ByteWriter writer;
  for (const auto& [path, text] : study.files) {
    writer.Text(path);
    writer.Text(text);
  }
  return Sha256(writer.bytes());
}

site_agent::CohortFile CohortFileOf(const GeneratedStudy& demo, const std::string& hospital) {
  const std::string path = hospital + ".yaml";
  const auto file = site_agent::ParseCohortFile(demo.files.at(path), path);
  EXPECT_TRUE(file.has_value()) << file.error().message;
  return file.value_or(site_agent::CohortFile{});
}

std::vector<std::string> HeaderOf(const GeneratedStudy& demo, const std::string& hospital) {
  const auto file = CohortFileOf(demo, hospital);
  const auto header = site_agent::RadiomicsHeader(file, demo.files.at(file.radiomics));
  EXPECT_TRUE(header.has_value()) << header.error().message;
  return header.value_or(std::vector<std::string>{});
}

study::Study StudyOf(const GeneratedStudy& demo) {
  const auto study = study::ParseStudy(demo.files.at("study.yaml"), "study.yaml");
  EXPECT_TRUE(study.has_value()) << study.error().message;
  const auto resolved = study::ResolveFeatures(*study, HeaderOf(demo, demo.hospitals.front()));
  EXPECT_TRUE(resolved.has_value()) << resolved.error().message;
  return *resolved;
}

// Without a site key from outside: the cohort file's must do.
federation::Cohort CohortOf(const GeneratedStudy& demo, const std::string& hospital) {
  const auto file = CohortFileOf(demo, hospital);
  const auto check = site_agent::CheckCohort(file, StudyOf(demo), demo.files.at(file.radiomics),
                                             demo.files.at(file.clinical.value()), {});
  for (const std::string& problem : check.problems) ADD_FAILURE() << problem;
  return check.cohort.value_or(federation::Cohort{});
}

const std::map<std::string, federation::Cohort>& DemoCohorts() {
  static const auto cohorts = [] {
    std::map<std::string, federation::Cohort> built;
    for (const std::string& hospital : Demo().hospitals) {
      built.emplace(hospital, CohortOf(Demo(), hospital));
    }
    return built;
  }();
  return cohorts;
}

// What the generator intends, told a second time.
struct Intended {
  int used;
  double prevalence;
  double age_mean;
  std::map<std::string, std::int64_t> flow;
};
const std::map<std::string, Intended> kIntended = {
    {"Aalst", {210, 0.45, 56, {{"repeated id", 5}, {"outcome missing", 8}}}},
    {"Bergen", {160, 0.36, 51, {{"no clinical record", 6}, {"outcome missing", 9}}}},
    {"Coimbra", {140, 0.52, 61, {{"other center", 12}, {"covariate missing", 7}}}},
    {"Delft",
     {120, 0.60, 64, {{"id missing", 5}, {"outcome missing", 5}, {"all features missing", 6}}}},
    {"Eger",
     {110,
      0.30,
      48,
      {{"repeated id", 2},
       {"no clinical record", 1},
       {"outcome missing", 3},
       {"covariate missing", 2}}}}};

TEST(GeneratedTables, TheSameSeedGivesTheSameBytesAndAnotherSeedOthers) {
  EXPECT_EQ(GenerateHospitals().files, Demo().files);
  GeneratedOptions options;
  ++options.seed;
  const GeneratedStudy other = GenerateHospitals(options);
  for (const auto& [path, text] : Demo().files) {
    ASSERT_TRUE(other.files.contains(path)) << path;
    EXPECT_NE(other.files.at(path), text) << path;
  }
}

// Pinned: whoever changes the generator changes the demo's published figures (docs/demo.md) too.
// The same under GCC and clang, and whatever glibc's variants of exp and log.
TEST(GeneratedTables, TheStudyIsTheOneThatItsDocumentDescribes) {
  EXPECT_EQ(Hex(DigestOf(Demo())),
            "7bca034b45f9504d107f464cc6a89a91aad81320e66983c30cf6b91559317936");
}

TEST(GeneratedTables, TheStudyParsesWithThreeHundredFeaturesAndTheTruth) {
  const study::Study study = StudyOf(Demo());
  EXPECT_EQ(study.sites, Demo().hospitals);
  EXPECT_EQ(study.feature_columns.size(), 300u);
  EXPECT_EQ(study.design, study::Design::kLeaveOneCenterOut);
  EXPECT_EQ(study.policy, study::Policy::kPrivate);
  EXPECT_EQ(study.known_external_auc, Demo().true_external_auc);
  EXPECT_EQ(study.known_external_auc.size(), 5u);
  EXPECT_EQ(study::FeatureSetColumns(study, "clinical").size(), 4u);
  EXPECT_EQ(study::FeatureSetColumns(study, "combined").size(), 304u);
  for (const auto& [feature, log_odds] : TrueCoefficients()) {
    EXPECT_EQ(std::count(study.feature_columns.begin(), study.feature_columns.end(), feature), 1)
        << feature;
  }
}

TEST(GeneratedTables, HospitalsListTheSameFeaturesInDifferentOrders) {
  std::set<std::vector<std::string>> orders;
  std::set<std::set<std::string>> names;
  const auto study = study::ParseStudy(Demo().files.at("study.yaml"), "study.yaml");
  for (const std::string& hospital : Demo().hospitals) {
    const auto resolved = study::ResolveFeatures(*study, HeaderOf(Demo(), hospital));
    ASSERT_TRUE(resolved.has_value()) << resolved.error().message;
    orders.insert(resolved->feature_columns);
    names.insert({resolved->feature_columns.begin(), resolved->feature_columns.end()});
  }
  EXPECT_EQ(names.size(), 1u);
  EXPECT_EQ(orders.size(), 3u);
}

TEST(GeneratedTables, EveryCohortBuildsAndEveryRowIsAccountedFor) {
  for (const auto& [hospital, intended] : kIntended) {
    SCOPED_TRACE(hospital);
    const federation::Cohort& cohort = DemoCohorts().at(hospital);
    EXPECT_EQ(cohort.row_count(), intended.used);
    std::int64_t found = 0;
    std::map<std::string, std::int64_t> excluded;
    for (const federation::FlowStep& step : cohort.flow) {
      constexpr std::string_view kPrefix = "excluded: ";
      if (step.reason == "found") found = step.rows;
      if (step.reason.starts_with(kPrefix) && step.rows > 0) {
        excluded[step.reason.substr(kPrefix.size())] = step.rows;
      }
    }
    EXPECT_EQ(excluded, intended.flow);
    std::int64_t sum = intended.used;
    for (const auto& [reason, rows] : intended.flow) sum += rows;
    EXPECT_EQ(found, sum);
  }
}

TEST(GeneratedTables, EveryFoldOfEveryHospitalHoldsTheMinimumCell) {
  const study::Study study = StudyOf(Demo());
  for (const auto& [hospital, cohort] : DemoCohorts()) {
    std::map<int, int> rows;
    for (const int fold : cohort.fold) ++rows[fold];
    EXPECT_EQ(rows.size(), static_cast<std::size_t>(study.folds.count)) << hospital;
    for (const auto& [fold, count] : rows) EXPECT_GE(count, study.privacy.min_cell) << hospital;
    const double events = cohort.outcome.sum();
    EXPECT_GE(events, 10) << hospital;  // else it would not count in the verdict
    EXPECT_GE(static_cast<double>(cohort.row_count()) - events, 10) << hospital;
  }
}

// Months, years of birth, millimetres: wrong factors would miss these by far.
TEST(GeneratedTables, LocalCodingsComeBackToTheStudysUnits) {
  for (const auto& [hospital, intended] : kIntended) {
    SCOPED_TRACE(hospital);
    const federation::Cohort& cohort = DemoCohorts().at(hospital);
    ASSERT_EQ(cohort.covariate_names, (std::vector<std::string>{"age", "sex", "bmi", "pain"}));
    EXPECT_NEAR(cohort.covariates.col(0).mean(), intended.age_mean, 4 * 13 / std::sqrt(110) + 0.5);
    EXPECT_GT(cohort.covariates.col(1).mean(), 0.3);
    EXPECT_LT(cohort.covariates.col(1).mean(), 0.75);
    EXPECT_NEAR(cohort.covariates.col(2).mean(), 27.4, 3);
    EXPECT_GE(cohort.covariates.col(3).minCoeff(), 3);
    EXPECT_LE(cohort.covariates.col(3).maxCoeff(), 10);
  }
}

// Whichever hospital is held out, a column that is missing there is missing among the others too.
TEST(GeneratedTables, MissingCellsStandInAFewColumnsAndNeverInTheSignal) {
  std::map<std::string, int> hospitals_with_missing;
  const auto truth = TrueCoefficients();
  for (const auto& [hospital, cohort] : DemoCohorts()) {
    for (std::size_t j = 0; j < cohort.feature_names.size(); ++j) {
      const auto column = cohort.features.col(static_cast<Eigen::Index>(j));
      if (!column.array().isNaN().any()) continue;
      ++hospitals_with_missing[cohort.feature_names[j]];
      EXPECT_FALSE(truth.contains(cohort.feature_names[j])) << cohort.feature_names[j];
    }
  }
  EXPECT_EQ(hospitals_with_missing.size(), 5u);
  for (const auto& [feature, hospitals] : hospitals_with_missing)
    EXPECT_GE(hospitals, 2) << feature;
}

TEST(GeneratedTables, TotalEnergyRepeatsEnergyExactlyAndNothingElseIsTwice) {
  const federation::Cohort& cohort = DemoCohorts().at("Coimbra");
  std::map<std::vector<double>, std::string> seen;
  int duplicates = 0;
  for (std::size_t j = 0; j < cohort.feature_names.size(); ++j) {
    const auto column = cohort.features.col(static_cast<Eigen::Index>(j));
    if (column.array().isNaN().any()) continue;
    const auto [first, fresh] = seen.try_emplace(std::vector<double>(column.begin(), column.end()),
                                                 cohort.feature_names[j]);
    if (fresh) continue;
    ++duplicates;
    EXPECT_TRUE(first->second.ends_with("_firstorder_Energy")) << first->second;
    EXPECT_TRUE(cohort.feature_names[j].ends_with("_firstorder_TotalEnergy"));
  }
  EXPECT_EQ(duplicates, 4);  // an image each
}

// The same truth from the linear predictors alone, without an outcome drawn, pair by pair, on other
// patients. Tolerance: 5 standard errors of the truth (20,000 patients, DeLong: at most 0.0030 =
// 0.45 / sqrt(20000) with a smaller class of 30 %) and of this check on 4,000 (at most 0.0070).
TEST(GeneratedTables, TheTruthIsTheAucOfTheLinearPredictorInNewPatients) {
  for (const auto& [hospital, truth] : Demo().true_external_auc) {
    const PopulationSample sample = DrawPopulation({}, hospital, 4000, 99);
    EXPECT_NEAR(truth, testing_support::ExpectedAuc(sample.linear_predictor),
                5 * std::sqrt(0.0030 * 0.0030 + 0.0070 * 0.0070))
        << hospital;
    EXPECT_GT(truth, 0.80) << hospital;
    EXPECT_LT(truth, 0.88) << hospital;
  }
}

// Tolerance: 5 standard errors of 20,000 outcomes and of the 4,000 that set the intercept.
TEST(GeneratedTables, PopulationsHaveTheIntendedPrevalence) {
  for (const auto& [hospital, intended] : kIntended) {
    const PopulationSample sample = DrawPopulation({}, hospital, 20000, 7);
    const double events = std::accumulate(sample.outcome.begin(), sample.outcome.end(), 0.0);
    EXPECT_NEAR(events / 20000, intended.prevalence, 5 * 0.5 * std::sqrt(1.0 / 20000 + 1.0 / 4000))
        << hospital;
  }
}

// What the tables show, within hospitals, points where the truth says; between hospitals it is the
// scanners that part them, not patients.
TEST(GeneratedTables, TablesCarryTheSignalAndTheScanners) {
  GeneratedOptions options;
  options.size = 4;
  options.truth_patients = 100;
  const GeneratedStudy large = GenerateHospitals(options);
  std::map<std::string, federation::Cohort> cohorts;
  for (const std::string& hospital : large.hospitals) {
    cohorts.emplace(hospital, CohortOf(large, hospital));
  }
  const auto column_of = [](const federation::Cohort& cohort, const std::string& feature) {
    const auto found = std::find(cohort.feature_names.begin(), cohort.feature_names.end(), feature);
    const auto column = cohort.features.col(found - cohort.feature_names.begin());
    return std::vector<double>(column.begin(), column.end());
  };
  for (const auto& [feature, log_odds] : TrueCoefficients()) {
    std::map<std::string, learning::AucComponents> components;
    double least = 1e300, most = -1e300, within = 0;
    for (const auto& [hospital, cohort] : cohorts) {
      const std::vector<double> values = column_of(cohort, feature);
      const auto auc = learning::ComputeAuc(
          values, std::vector<double>(cohort.outcome.begin(), cohort.outcome.end()));
      ASSERT_TRUE(auc.has_value()) << auc.error().message;
      components[hospital] = *auc;
      const double n = static_cast<double>(values.size());
      const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
      double squares = 0;
      for (const double value : values) squares += (value - mean) * (value - mean);
      within += squares / n / 5;
      least = std::min(least, mean);
      most = std::max(most, mean);
    }
    const auto internal = learning::CombineWithinCenters(components);
    ASSERT_TRUE(internal.has_value() && internal->interval.has_value()) << feature;
    if (log_odds > 0) {
      EXPECT_GT(internal->interval->low, 0.5) << feature;
    } else {
      EXPECT_LT(internal->interval->high, 0.5) << feature;
    }
    if (feature.find("_shape_") == std::string::npos) {
      EXPECT_GT((most - least) / std::sqrt(within), 0.5) << feature;
    }
  }
}

TEST(GeneratedTablesDeathTest, OptionsOutOfBoundsAbortWithTheBound) {
  GeneratedOptions options;
  options.truth_patients = 99;
  EXPECT_DEATH(static_cast<void>(GenerateHospitals(options)), "at least 100");
  options = {};
  options.size = 0.4;
  EXPECT_DEATH(static_cast<void>(GenerateHospitals(options)), "0.5, 20");
  EXPECT_DEATH(static_cast<void>(DrawPopulation({}, "Faro", 10, 1)), "this name");
}

}  // namespace
}  // namespace consilium::simulation
