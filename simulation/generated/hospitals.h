// What all generated studies share: five hospitals, their patients, and their habits in keeping
// tables.
//
// A hospital has a case mix, a prevalence and a clinical table with names and codings of its own;
// a cohort file says how to read it. What is measured in patients (made-up features: tables.h;
// images: images.h) and how it enters the linear predictor is the study's. Everything follows from
// the seed. Notation: hospital h, eta the log-odds of the event.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"

namespace consilium::simulation {

struct GeneratedOptions {
  std::uint64_t seed = 2;      // of everything; 0 to 2^63 - 1, as a study file writes it
  double size = 1;             // patients per hospital relative to the demo's; [0.5, 20]
  int truth_patients = 20000;  // per hospital, for the true AUC; 100 or more, its error ~ n^-1/2
};
// Aborts if an option is out of its bounds.
void CheckOptions(const GeneratedOptions& options);

struct Patient {
  double age_months = 0;
  bool woman = false;
  double bmi = 0;
  double pain = 0;  // 0 to 10
};

// Patients of a hospital's population as the generator knows them: eta and the event drawn from it.
// [n] each.
struct PopulationSample {
  std::vector<double> linear_predictor;
  std::vector<double> outcome;  // 1 = event
};

enum class AgeAs { kYears, kMonths, kBirthYear };

struct Hospital {
  const char* name;
  const char* scanner;
  int patients;       // used, at size 1
  double prevalence;  // of the event
  double protocol;    // place on the scanners' common axis; rises with the prevalence
  double age_mean, age_sd, women, bmi_mean, bmi_sd;
  // The site's own tables.
  const char* radiomics;
  const char* clinical;
  char separator;
  const char* id;
  const char* id_format;  // of the running number
  const char* clinical_id;
  const char* age;
  AgeAs age_as;
  const char* sex;
  const char* woman;
  const char* man;
  const char* bmi;
  const char* pain;
  bool pain_in_mm;  // visual analogue scale, 0 to 100 mm, instead of 0 to 10
  const char* outcome;
  const char* event;
  const char* non_event;
  const char* missing;  // this site's word for it
  // Rows that leave, by reason; and single missing feature cells a patchy column.
  int other_center, id_missing, repeated, no_record, outcome_missing, covariate_missing,
      all_missing, patchy_cells, infinite_cells;
};

inline constexpr std::size_t kHospitalCount = 5;
[[nodiscard]] const std::array<Hospital, kHospitalCount>& Hospitals();
// The index of a hospital by name; aborts if there is none.
[[nodiscard]] std::size_t HospitalAt(std::string_view name);

// ---- patients ----

[[nodiscard]] Patient DrawPatient(const Hospital& hospital, Rng& rng);
// Age in units of 12 years, 0 at 56.
[[nodiscard]] double Age(const Patient& patient);
// What age and BMI add to eta, in every hospital and study.
[[nodiscard]] double ClinicalLogOdds(const Patient& patient);

// The intercept that gives patients with these etas this prevalence, by bisection.
[[nodiscard]] double InterceptFor(double prevalence, const std::vector<double>& linear_predictors);
// The AUC of eta in a sample, rounded to 4 decimals as a study file says it.
[[nodiscard]] double TrueAuc(const PopulationSample& sample);

// ---- tables ----

// Why a row leaves a hospital's cohort, if it does.
enum class Fate {
  kUsed,
  kOtherCenter,
  kIdMissing,
  kNoRecord,
  kOutcomeMissing,
  kCovariateMissing,
  kAllMissing
};
struct Record {
  std::string id;
  Fate fate = Fate::kUsed;
  Patient patient;
  bool event = false;
};

// `used` rows that stay and those that leave, mixed; with ids, without patients. `fates`: those of
// the hospital's that this study knows.
[[nodiscard]] std::vector<Record> DrawFates(const Hospital& hospital, int used,
                                            const std::vector<Fate>& fates, Rng& rng);

// Where another center's cases stand in the table too: the column that tells them, and its cell.
inline constexpr const char* kCenterColumn = "centro";
[[nodiscard]] std::string CenterOf(const Hospital& hospital, const Record& record);

// Names and cells of a record's clinical columns as this hospital writes them, but for the id.
[[nodiscard]] std::vector<std::string> ClinicalColumns(const Hospital& hospital);
[[nodiscard]] std::vector<std::string> ClinicalCells(const Hospital& hospital, const Record& record,
                                                     Rng& rng);
// The clinical table, in an order of its own; not of those whom the clinic does not know.
[[nodiscard]] std::string ClinicalTable(const Hospital& hospital,
                                        const std::vector<Record>& records, Rng& rng);

// ---- study and cohort files ----

// Where a cohort's tables are, from the folder of study.yaml.
struct CohortTables {
  std::string radiomics;
  std::string radiomics_id;  // column
  char radiomics_separator = ',';
  std::string clinical;     // empty: its columns stand in the radiomics table
  bool id_missing = false;  // rows may lack an id
  bool repeated = false;    // ids may stand there twice
};
[[nodiscard]] std::string CohortText(const Hospital& hospital, const CohortTables& tables,
                                     std::uint64_t seed);

// `true_auc`: by hospital.
[[nodiscard]] std::string StudyText(std::uint64_t seed,
                                    const std::map<std::string, double>& true_auc);

}  // namespace consilium::simulation
