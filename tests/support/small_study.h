// A whole study that is small enough for a test to run many times: four hospitals in code.
//
// Each hospital has 60 to 78 cases with 25 features, an age and a smoking status; hospitals differ
// in location and scale of every feature. x24 repeats x01 to the bit, x25 is constant. The study
// fits one LASSO on the raw and on the ComBat-harmonized columns. Everything goes the way that real
// files go: YAML and CSV texts, ParseStudy, ResolveFeatures, CheckCohort.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "coordinator/report_json.h"
#include "coordinator/report_tables.h"
#include "federation/log.h"
#include "simulation/local_federation.h"
#include "site_agent/cohort_file.h"
#include "site_agent/cohort_table.h"
#include "site_agent/site.h"
#include "study/study_file.h"

namespace consilium::testing {

inline constexpr int kSmallFeatureCount = 25;

struct SmallCase {
  std::string id;
  int fold = 1;  // 1..5; read only if the study names the column
  int outcome = 0;
  double age = 0;
  int smoker = 0;
  std::vector<double> features;  // [25]
};

struct SmallHospital {
  std::string name;
  std::vector<SmallCase> cases;
};

// Cases of one hospital; `offset` moves every feature, as another scanner would. The rank of a case
// within its class gives its fold, so every fold has both classes.
inline std::vector<SmallCase> DrawCases(const std::string& hospital, int count, double offset,
                                        std::uint64_t seed) {
  Rng rng(seed, "small study " + hospital);
  std::vector<SmallCase> cases;
  int rank[2] = {0, 0};
  for (int i = 0; i < count; ++i) {
    SmallCase one;
    one.id = fmt::format("{}-{:03}", hospital, i + 1);
    one.age = std::floor(60 + 9 * rng.Normal());
    one.smoker = rng.Chance(0.4) ? 1 : 0;
    std::vector<double> latent;
    for (int j = 0; j < kSmallFeatureCount; ++j) latent.push_back(rng.Normal());
    for (int j = 1; j < kSmallFeatureCount; ++j) {
      const auto at = static_cast<std::size_t>(j);
      latent[at] = 0.6 * latent[at] + 0.4 * latent[at - 1];
    }
    const double eta =
        1.8 * latent[0] - 1.4 * latent[2] + latent[6] + 0.03 * (one.age - 60) + 0.4 * one.smoker;
    one.outcome = rng.Chance(0.5 + 0.5 * eta / (1 + std::fabs(eta))) ? 1 : 0;
    for (int j = 0; j < kSmallFeatureCount; ++j) {
      const double scale = 1 + 0.1 * offset * (j % 3);
      one.features.push_back(std::round(1e6 * (10 + offset * (1 + j % 4) +
                                               scale * latent[static_cast<std::size_t>(j)])) /
                             1e6);
    }
    one.features[23] = one.features[0];
    one.features[24] = 3.25;
    one.fold = rank[one.outcome]++ % 5 + 1;
    cases.push_back(std::move(one));
  }
  return cases;
}

// Four hospitals whose names are not in order of size or of offset.
inline std::vector<SmallHospital> SmallHospitals(std::uint64_t seed = 7) {
  return {{"north", DrawCases("north", 72, 0.0, seed)},
          {"east", DrawCases("east", 66, 0.8, seed)},
          {"south", DrawCases("south", 78, -0.5, seed)},
          {"west", DrawCases("west", 60, 0.4, seed)}};
}

struct SmallStudyOptions {
  bool leave_one_center_out = false;  // false: west is held out
  bool public_data = false;           // false: policy: private
  bool fold_column = false;           // false: keyed folds
  bool combat = true;                 // beside none
  double kkt_tolerance = 1e-8;
  std::string more_models;  // lines of `models:` beside the lasso's
  std::vector<std::string> sites = {"north", "east", "south", "west"};
};

inline std::string SmallStudyYaml(const SmallStudyOptions& options = {}) {
  std::string yaml = "name: small\ntitle: Four small hospitals\nseed: 20\n";
  yaml += fmt::format("policy: {}\n", options.public_data ? "public-data" : "private");
  yaml += fmt::format("sites: [{}]\n", fmt::join(options.sites, ", "));
  yaml += "outcome: relapse\nevent: relapse within two years\npatient: case\n";
  yaml += "variables:\n  age: {kind: continuous, unit: years}\n  smoker: {kind: binary}\n";
  yaml += "features:\n  radiomics: {include: [\"x*\"]}\n";
  yaml += "feature_sets:\n  combined: [radiomics, age, smoker]\n";
  yaml += "harmonizations:\n  none: {method: none}\n";
  if (options.combat) yaml += "  combat: {method: combat, preserve: [age]}\n";
  yaml += fmt::format(
      "models:\n  lasso: {{method: lasso, lambda: min, lambda_count: 20, kkt_tolerance: {}}}\n",
      options.kkt_tolerance);
  yaml += options.more_models;
  yaml += fmt::format("folds: {{count: 5{}}}\n", options.fold_column ? ", column: fold" : "");
  if (options.leave_one_center_out) {
    yaml += fmt::format("design: leave-one-center-out\nconsents: [{}]\n",
                        fmt::join(options.sites, ", "));
  } else {
    yaml += "design: named-held-out\nheld_out: [west]\n";
  }
  yaml += "primary: {model: lasso, features: combined, harmonization: none, lambda: min}\n";
  yaml += "thresholds: [0.3, 0.5]\nprivacy: {min_sites: 3}\n";
  return yaml;
}

inline std::string SmallCohortYaml(const std::string& site) {
  return fmt::format(
      "site: {0}\nradiomics: {0}.csv\nid: {{column: id}}\n"
      "outcome: {{column: relapse, event: [\"1\"], non_event: [\"0\"]}}\n"
      "variables:\n  age: {{column: age, unit: years}}\n"
      "  smoker: {{column: smoker, one: [\"1\"], zero: [\"0\"]}}\n",
      site);
}

inline std::string SmallCsv(const std::vector<SmallCase>& cases) {
  std::string csv = "id,fold,relapse,age,smoker";
  for (int j = 1; j <= kSmallFeatureCount; ++j) csv += fmt::format(",x{:02}", j);
  csv += "\n";
  for (const SmallCase& one : cases) {
    csv += fmt::format("{},{},{},{},{}", one.id, one.fold, one.outcome, one.age, one.smoker);
    for (const double value : one.features) csv += fmt::format(",{}", value);
    csv += "\n";
  }
  return csv;
}

// A study ready to run: what the console has after it read the files.
struct SmallFederation {
  std::string yaml;
  study::Study study;  // resolved
  std::map<std::string, simulation::LocalSite> sites;
};

inline Result<SmallFederation> Assemble(const SmallStudyOptions& options,
                                        const std::vector<SmallHospital>& hospitals) {
  SmallFederation federation;
  federation.yaml = SmallStudyYaml(options);
  const auto study = study::ParseStudy(federation.yaml, "study.yaml");
  CONSILIUM_TRY(study);
  for (const SmallHospital& hospital : hospitals) {
    const auto file =
        site_agent::ParseCohortFile(SmallCohortYaml(hospital.name), hospital.name + ".yaml");
    CONSILIUM_TRY(file);
    const std::string csv = SmallCsv(hospital.cases);
    if (federation.sites.empty()) {
      const auto header = site_agent::RadiomicsHeader(*file, csv);
      CONSILIUM_TRY(header);
      auto resolved = study::ResolveFeatures(*study, *header);
      CONSILIUM_TRY(resolved);
      federation.study = std::move(*resolved);
    }
    simulation::LocalSite site;
    site.secret = site_agent::IdentityFromSeed(hospital.name, federation.study.seed).secret;
    auto cohort = site_agent::BuildCohort(*file, federation.study, csv, std::nullopt, site.secret);
    CONSILIUM_TRY(cohort);
    site.cohort = std::move(*cohort);
    federation.sites.emplace(hospital.name, std::move(site));
  }
  return federation;
}

// A log in memory, record by record; from `refuse_from` records on it refuses, as a full disk does.
class MemoryLog : public federation::LogSink {
 public:
  std::vector<Bytes> records;
  std::size_t refuse_from = SIZE_MAX;

  Result<void> Append(std::span<const std::uint8_t> record) override {
    if (records.size() >= refuse_from)
      return Fail(ErrorCode::kUnavailable, "the log's disk is full; free space and resume");
    records.emplace_back(record.begin(), record.end());
    return {};
  }
};

inline Bytes Joined(const std::vector<Bytes>& records, std::size_t count = SIZE_MAX) {
  Bytes bytes;
  for (std::size_t i = 0; i < records.size() && i < count; ++i)
    bytes.insert(bytes.end(), records[i].begin(), records[i].end());
  return bytes;
}

inline std::string CoefficientsCsv(const study::Results& results) {
  return coordinator::ReportTables(results).front().csv;
}

struct SmallRun {
  study::Results results;
  std::string report;        // report.json
  std::string coefficients;  // coefficients.csv
  std::vector<Bytes> log;    // records that this run wrote
  std::map<std::string, std::string> ledgers;
};

inline Result<SmallRun> Run(const SmallFederation& federation, int threads = 2,
                            const Bytes& resume = {}) {
  MemoryLog log;
  simulation::LocalOptions options;
  options.threads = threads;
  auto outcome = simulation::RunLocally(federation.study, federation.yaml, federation.sites, log,
                                        options, resume);
  CONSILIUM_TRY(outcome);
  SmallRun run;
  run.report = coordinator::ReportJson(outcome->results);
  run.coefficients = CoefficientsCsv(outcome->results);
  run.results = std::move(outcome->results);
  run.log = std::move(log.records);
  run.ledgers = std::move(outcome->ledgers);
  return run;
}

// The run, or a failed test that says why.
inline SmallRun MustRun(const SmallFederation& federation, int threads = 2,
                        const Bytes& resume = {}) {
  auto run = Run(federation, threads, resume);
  if (!run) {
    ADD_FAILURE() << run.error().message;
    return {};
  }
  return std::move(*run);
}

inline SmallFederation MustAssemble(const SmallStudyOptions& options,
                                    const std::vector<SmallHospital>& hospitals) {
  auto federation = Assemble(options, hospitals);
  if (!federation) {
    ADD_FAILURE() << federation.error().message;
    return {};
  }
  return std::move(*federation);
}

}  // namespace consilium::testing
