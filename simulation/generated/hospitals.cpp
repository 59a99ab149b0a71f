#include "simulation/generated/hospitals.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/bytes.h"
#include "base/csv.h"
#include "base/digest.h"
#include "base/portable_math.h"
#include "base/result.h"
#include "learning/auc.h"

namespace consilium::simulation {

namespace {

constexpr double kLogOddsOfAge = 0.40;  // 12 years
constexpr double kLogOddsOfBmi = 0.30;  // 4 kg/m2
constexpr int kStudyYear = 2021;

// clang-format off
constexpr std::array<Hospital, kHospitalCount> kHospitals = {{
    {"Aalst", "Lyra 1.5 T", 210, 0.45, 0.1, 56, 13, 0.54, 26.8, 4.0,
     "pyradiomics.csv", "clinic.csv", ',', "case", "AA-{:04}", "case",
     "age", AgeAs::kYears, "sex", "F", "M", "bmi", "nrs_baseline", false,
     "relief_30pct", "no", "yes", "NA",
     0, 0, 5, 0, 8, 0, 0, 3, 0},
    {"Bergen", "Vega 3 T", 160, 0.36, -0.6, 51, 12, 0.50, 26.0, 3.8,
     "features.csv", "register.csv", ';', "Pasient", "{:05}", "nr",
     "alder_mnd", AgeAs::kMonths, "kjonn", "K", "M", "kmi", "smerte_vas", true,
     "resp12", "0", "1", "nan",
     0, 0, 0, 6, 9, 0, 0, 4, 2},
    {"Coimbra", "Mira 1.5 T", 140, 0.52, 0.5, 61, 11, 0.58, 28.1, 4.3,
     "radiomica.csv", "clinica.csv", ',', "ID", "C{:03}", "processo",
     "idade", AgeAs::kYears, "sexo", "2", "1", "imc", "dor", false,
     "sem_resposta", "1", "0", "N/A",
     12, 0, 0, 0, 0, 7, 0, 2, 0},
    {"Delft", "Nova 3 T", 120, 0.60, 1.1, 64, 10, 0.47, 27.4, 4.0,
     "extract.csv", "dossier.csv", ',', "studyid", "D-{:03}", "studyid",
     "geboortejaar", AgeAs::kBirthYear, "geslacht", "vrouw", "man", "bmi_kg_m2", "nrs", false,
     "uitkomst", "niet gehaald", "gehaald", "",
     0, 5, 0, 0, 5, 0, 6, 3, 1},
    {"Eger", "Atlas 1 T", 110, 0.30, -1.1, 48, 13, 0.52, 28.8, 4.6,
     "jellemzok.csv", "adatok.csv", ',', "azonosito", "E/{:03}", "azonosito",
     "kor", AgeAs::kYears, "nem", "no", "ferfi", "tti", "fajdalom", false,
     "javulas30", "nem", "igen", "null",
     0, 0, 2, 1, 3, 2, 0, 2, 0},
}};
// clang-format on

double AgeAsWritten(const Hospital& hospital, const Patient& patient) {
  switch (hospital.age_as) {
    case AgeAs::kMonths:
      return patient.age_months;
    case AgeAs::kBirthYear:
      return kStudyYear - std::floor(patient.age_months / 12);
    case AgeAs::kYears:
      break;
  }
  return std::floor(patient.age_months / 12);
}

int CountOf(const Hospital& hospital, Fate fate) {
  switch (fate) {
    case Fate::kOtherCenter:
      return hospital.other_center;
    case Fate::kIdMissing:
      return hospital.id_missing;
    case Fate::kNoRecord:
      return hospital.no_record;
    case Fate::kOutcomeMissing:
      return hospital.outcome_missing;
    case Fate::kCovariateMissing:
      return hospital.covariate_missing;
    case Fate::kAllMissing:
      return hospital.all_missing;
    case Fate::kUsed:
      break;
  }
  return 0;
}

}  // namespace

void CheckOptions(const GeneratedOptions& options) {
  CONSILIUM_CHECK(options.seed <= static_cast<std::uint64_t>(INT64_MAX),
                  "seed must be at most 2^63 - 1");
  CONSILIUM_CHECK(options.size >= 0.5 && options.size <= 20, "size must be in [0.5, 20]");
  CONSILIUM_CHECK(options.truth_patients >= 100, "truth_patients must be at least 100");
}

const std::array<Hospital, kHospitalCount>& Hospitals() { return kHospitals; }

std::size_t HospitalAt(std::string_view name) {
  const auto found = std::find_if(kHospitals.begin(), kHospitals.end(),
                                  [&](const Hospital& one) { return name == one.name; });
  CONSILIUM_CHECK(found != kHospitals.end(), "no generated hospital has this name");
  return static_cast<std::size_t>(found - kHospitals.begin());
}

Patient DrawPatient(const Hospital& hospital, Rng& rng) {
  Patient patient;
  const double years = hospital.age_mean + hospital.age_sd * rng.Normal();
  patient.age_months = std::floor(12 * std::clamp(years, 20.0, 90.0));
  patient.woman = rng.Chance(hospital.women);
  patient.bmi = std::clamp(hospital.bmi_mean + hospital.bmi_sd * rng.Normal(), 16.0, 50.0);
  patient.pain = std::clamp(6.4 + 1.5 * rng.Normal(), 3.0, 10.0);
  return patient;
}

double Age(const Patient& patient) { return (patient.age_months / 12 - 56) / 12; }

double ClinicalLogOdds(const Patient& patient) {
  return kLogOddsOfAge * Age(patient) + kLogOddsOfBmi * (patient.bmi - 27) / 4;
}

double InterceptFor(double prevalence, const std::vector<double>& linear_predictors) {
  const double events = prevalence * static_cast<double>(linear_predictors.size());
  double low = -20, high = 20;
  for (int step = 0; step < 60; ++step) {
    const double middle = 0.5 * (low + high);
    double sum = 0;
    for (const double eta : linear_predictors) sum += Expit(middle + eta);
    (sum < events ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

double TrueAuc(const PopulationSample& sample) {
  const auto auc = learning::ComputeAuc(sample.linear_predictor, sample.outcome);
  CONSILIUM_CHECK(auc.has_value() && learning::AucValue(*auc).has_value(),
                  "a generated population has one class");
  return std::floor(*learning::AucValue(*auc) * 10000 + 0.5) / 10000;
}

std::vector<Record> DrawFates(const Hospital& hospital, int used, const std::vector<Fate>& fates,
                              Rng& rng) {
  std::vector<Record> records(static_cast<std::size_t>(used));
  for (const Fate fate : fates) {
    for (int i = 0; i < CountOf(hospital, fate); ++i) records.push_back({{}, fate, {}, false});
  }
  rng.Shuffle(records);
  for (std::size_t i = 0; i < records.size(); ++i) {
    records[i].id = records[i].fate == Fate::kIdMissing
                        ? std::string(hospital.missing)
                        : fmt::format(fmt::runtime(hospital.id_format), i + 1);
  }
  return records;
}

std::string CenterOf(const Hospital& hospital, const Record& record) {
  return record.fate == Fate::kOtherCenter ? "Faro" : hospital.name;
}

std::vector<std::string> ClinicalColumns(const Hospital& hospital) {
  return {hospital.sex, hospital.age, hospital.pain, hospital.bmi, "ward", hospital.outcome};
}

std::vector<std::string> ClinicalCells(const Hospital& hospital, const Record& record, Rng& rng) {
  const Patient& patient = record.patient;
  const double pain = std::floor((hospital.pain_in_mm ? 10 : 1) * patient.pain + 0.5);
  return {patient.woman ? hospital.woman : hospital.man,
          fmt::format("{:.0f}", AgeAsWritten(hospital, patient)),
          fmt::format("{:.0f}", pain),
          record.fate == Fate::kCovariateMissing ? hospital.missing
                                                 : fmt::format("{:.1f}", patient.bmi),
          rng.Chance(0.3) ? "spine unit" : "outpatients",
          record.fate == Fate::kOutcomeMissing ? hospital.missing
          : record.event                       ? hospital.event
                                               : hospital.non_event};
}

std::string ClinicalTable(const Hospital& hospital, const std::vector<Record>& records, Rng& rng) {
  CsvWriter csv(hospital.separator);
  csv.Cell(hospital.clinical_id);
  for (const std::string& column : ClinicalColumns(hospital)) csv.Cell(column);
  csv.EndRow();
  std::vector<const Record*> known;
  for (const Record& record : records) {
    if (record.fate != Fate::kOtherCenter && record.fate != Fate::kIdMissing &&
        record.fate != Fate::kNoRecord) {
      known.push_back(&record);
    }
  }
  rng.Shuffle(known);  // not in the order of the other table
  for (const Record* record : known) {
    csv.Cell(record->id);
    for (const std::string& cell : ClinicalCells(hospital, *record, rng)) csv.Cell(cell);
    csv.EndRow();
  }
  return csv.text();
}

std::string CohortText(const Hospital& hospital, const CohortTables& tables, std::uint64_t seed) {
  const auto quoted = [](std::string_view text) { return fmt::format("\"{}\"", text); };
  std::string text = fmt::format(
      "# Generated hospital {} ({}): no real patients. Paths start from the folder\n"
      "# of this file, which is given as --data.\n"
      "site: {}\n"
      "radiomics: {}\n",
      hospital.name, hospital.scanner, hospital.name, tables.radiomics);
  const bool one_table = tables.clinical.empty();
  if (!one_table) text += fmt::format("clinical: {}\n", tables.clinical);
  if (one_table || tables.radiomics_separator == hospital.separator) {
    text += fmt::format("separator: \"{}\"\n\n", tables.radiomics_separator);
  } else {
    text += fmt::format("separator: {{radiomics: \"{}\", clinical: \"{}\"}}\n\n",
                        tables.radiomics_separator, hospital.separator);
  }
  if (hospital.other_center > 0) {
    text += fmt::format(
        "# The table also holds another center's cases, read on the same workstation.\n"
        "rows: {{column: {}, equals: {}}}\n",
        kCenterColumn, hospital.name);
  }
  text += fmt::format("id: {{column: {}}}\n", tables.radiomics_id);
  if (!one_table) text += fmt::format("clinical_id: {}\n", hospital.clinical_id);
  text += "\n";
  text += fmt::format(
      "# The event is the failure: less than 30 % pain reduction at 12 months.\n"
      "outcome: {{column: {}, table: {}, event: [{}], non_event: [{}]}}\n"
      "variables:\n",
      hospital.outcome, one_table ? "radiomics" : "clinical", quoted(hospital.event),
      quoted(hospital.non_event));
  switch (hospital.age_as) {
    case AgeAs::kYears:
      text += fmt::format("  age: {{column: {}}}\n", hospital.age);
      break;
    case AgeAs::kMonths:
      text += fmt::format("  age: {{column: {}, unit: months, scale: 0.08333333333333333}}\n",
                          hospital.age);
      break;
    case AgeAs::kBirthYear:
      text += fmt::format(
          "  age: {{column: {}, unit: year of birth, scale: -1, offset: {}}}  # at inclusion, {}\n",
          hospital.age, kStudyYear, kStudyYear);
      break;
  }
  text += fmt::format("  sex: {{column: {}, one: [{}], zero: [{}]}}  # one = woman\n", hospital.sex,
                      quoted(hospital.woman), quoted(hospital.man));
  text += fmt::format("  bmi: {{column: {}}}\n", hospital.bmi);
  text +=
      hospital.pain_in_mm
          ? fmt::format("  pain: {{column: {}, unit: mm, scale: 0.1}}  # visual analogue scale\n",
                        hospital.pain)
          : fmt::format("  pain: {{column: {}}}\n", hospital.pain);
  text += fmt::format(
      "\nmissing:\n"
      "  tokens: [{}]\n"
      "  infinities: missing\n"
      "  id: {}\n"
      "  clinical_record: exclude-row\n"
      "  outcome: exclude-row\n"
      "  covariates: exclude-row\n"
      "  all_features: exclude-row\n"
      "  cells: keep\n"
      "repeated_ids: {}\n\n",
      quoted(hospital.missing), tables.id_missing ? "exclude-row" : "refuse",
      tables.repeated ? "keep-first  # the first extraction counts" : "refuse");
  ByteWriter key;
  key.Text("demo site key");
  key.U64(seed);
  key.U64(HospitalAt(hospital.name));
  text += fmt::format(
      "# Generated with the data, so that the demo repeats itself. A real hospital keeps its key\n"
      "# secret and out of this file.\n"
      "site_key: {}\n",
      Hex(Sha256(key.bytes())));
  return text;
}

std::string StudyText(std::uint64_t seed, const std::map<std::string, double>& true_auc) {
  std::string sites;
  std::string institutions;
  std::string known;
  for (const Hospital& hospital : kHospitals) {
    const std::string_view comma = sites.empty() ? "" : ", ";
    sites += fmt::format("{}{}", comma, hospital.name);
    institutions += fmt::format("  {}: Hospital of {} (generated)\n", hospital.name, hospital.name);
    known += fmt::format("  {}: {:.4f}\n", hospital.name, true_auc.at(hospital.name));
  }
  return fmt::format(
      R"(# The demo study: five generated hospitals, no real patients. docs/demo.md says how they were made.
name: demo
title: Back pain not relieved after 12 months, five generated hospitals
seed: {seed}
policy: private

sites: [{sites}]
institutions:
{institutions}
outcome: no_relief
event: pain reduction of at least 30 % at 12 months not reached
patient: case

variables:
  age: {{kind: continuous, unit: years}}
  sex: {{kind: binary}}  # 1 = woman
  bmi: {{kind: continuous, unit: kg/m2}}
  pain: {{kind: continuous, unit: NRS}}  # before treatment, 0 to 10
features:
  radiomics: {{include: [original_*, log-sigma-*, wavelet-*]}}
feature_sets:
  clinical: [age, sex, bmi, pain]
  radiomics: [radiomics]
  combined: [radiomics, age, sex, bmi, pain]

harmonizations:
  none: {{method: none}}
  combat: {{method: combat, preserve: [age, sex]}}  # differences of case mix are kept

models:
  lasso:
    method: lasso
    lambda: min
    lambda_count: 25  # down to 0.04 of the first lambda: the best ones lie near 0.1 of it
    lambda_min_ratio: 0.04
    kkt_tolerance: 1e-6  # a hundred times the default, because the demo is to be quick
    feature_sets: [clinical, radiomics, combined]
folds: {{count: 10}}  # by each site's key
tuning: reused

# Two named held-out centers of five would leave three to train and no pooled figure (that takes
# three held-out centers). So each hospital is held out in turn, which its site must consent to.
design: leave-one-center-out
consents: [{sites}]

primary: {{model: lasso, features: combined, harmonization: combat, lambda: min}}
margin: 0.10
auc_floor: 0.5
thresholds: {{values: [0.3, 0.5], range: [0.05, 0.95]}}
privacy: {{min_sites: 3, min_cell: 5, curvature: strict, masks: true}}
minimum_rows: 50

# The truth: the AUC of the generating linear predictor in each hospital's population, a ceiling.
known_external_auc:
{known})",
      fmt::arg("seed", seed), fmt::arg("sites", sites), fmt::arg("institutions", institutions),
      fmt::arg("known", known));
}

}  // namespace consilium::simulation
