// Five generated hospitals whose truth is known: the demo study, as the texts of its files.
//
// Patients have 300 features named as PyRadiomics names them; 12 of them, age and BMI decide the
// outcome through one logistic regression that is the same in every hospital. Each hospital has a
// scanner that shifts and stretches every feature (what ComBat removes), its own case mix and
// prevalence, and its own habits in keeping tables. Everything follows from the seed: no file, no
// clock, and the same bytes on every machine. The model in words, formulas and figures:
// docs/demo.md.
//
// Notation: hospital h, patient i, feature j; z_ij the biological value of a feature, about
// standard normal; eta_i the linear predictor of the event; x_ij what the table shows. Source of
// the scanner effect: Johnson, Li & Rabinovic, Biostatistics 8(1):118-127, 2007, eq. 1.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace consilium::simulation {

struct GeneratedOptions {
  std::uint64_t seed = 2;      // of everything; 0 to 2^63 - 1, as a study file writes it
  double size = 1;             // patients per hospital relative to the demo's; [0.5, 20]
  int truth_patients = 20000;  // per hospital, for the true AUC; 100 or more, its error ~ n^-1/2
};

struct GeneratedStudy {
  // Relative path -> text: "study.yaml", "NAME.yaml" (the cohort file of hospital NAME) and
  // "data/NAME/*.csv". Cohort files' paths start from the folder of study.yaml (--data DIR).
  std::map<std::string, std::string> files;
  std::vector<std::string> hospitals;  // as the study lists them
  // Hospital -> AUC of eta in that hospital's population: the ceiling of any score there, and what
  // the study file says under known_external_auc, rounded to 4 decimals as it is written there.
  std::map<std::string, double> true_external_auc;
};

// The demo study for these options. Aborts if an option is out of its bounds.
[[nodiscard]] GeneratedStudy GenerateHospitals(const GeneratedOptions& options = {});

// Patients of a hospital's population as the generator knows them: eta (log-odds of the event) and
// the event drawn from it. [n] each.
struct PopulationSample {
  std::vector<double> linear_predictor;
  std::vector<double> outcome;  // 1 = event
};

// `patients` new patients of `hospital` (one of GeneratedStudy::hospitals), from `sample_seed`; the
// model is that of options.seed. The true AUC is that of such a sample. Aborts if the hospital is
// unknown or an option is out of its bounds.
[[nodiscard]] PopulationSample DrawPopulation(const GeneratedOptions& options,
                                              std::string_view hospital, int patients,
                                              std::uint64_t sample_seed);

// The twelve features that decide the outcome, with their log-odds a standard deviation of z.
[[nodiscard]] std::map<std::string, double> TrueCoefficients();

}  // namespace consilium::simulation
