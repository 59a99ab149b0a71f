// The study of generated tables: features made up by a formula, without any image.
//
// Patients have 300 features named as PyRadiomics names them; 12 of them, age and BMI decide the
// outcome through one logistic regression that is the same in every hospital. Each hospital has a
// scanner that shifts and stretches every feature (what ComBat removes). Made in a moment: a fast
// fixture of the same shape as the demo study, whose features come from images (images.h). The
// model in words, formulas and figures: docs/demo.md.
//
// Notation: hospital h (hospitals.h), patient i, feature j; z_ij the biological value of a feature,
// about standard normal; eta_i the linear predictor of the event; x_ij what the table shows. Source
// of the scanner effect: Johnson, Li & Rabinovic, Biostatistics 8(1):118-127, 2007, eq. 1.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/generated/hospitals.h"

namespace consilium::simulation {

struct GeneratedStudy {
  // Relative path -> text: "study.yaml", "NAME.yaml" (the cohort file of hospital NAME) and
  // "data/NAME/*.csv". Cohort files' paths start from the folder of study.yaml (--data DIR).
  std::map<std::string, std::string> files;
  std::vector<std::string> hospitals;  // as the study lists them
  // Hospital -> AUC of eta in that hospital's population: the ceiling of any score there, and what
  // the study file says under known_external_auc, rounded to 4 decimals as it is written there.
  std::map<std::string, double> true_external_auc;
};

// The study for these options. Aborts if an option is out of its bounds.
[[nodiscard]] GeneratedStudy GenerateHospitals(const GeneratedOptions& options = {});

// `patients` new patients of `hospital` (one of GeneratedStudy::hospitals), from `sample_seed`; the
// model is that of options.seed. The true AUC is that of such a sample. Aborts if the hospital is
// unknown or an option is out of its bounds.
[[nodiscard]] PopulationSample DrawPopulation(const GeneratedOptions& options,
                                              std::string_view hospital, int patients,
                                              std::uint64_t sample_seed);

// The twelve features that decide the outcome, with their log-odds a standard deviation of z.
[[nodiscard]] std::map<std::string, double> TrueCoefficients();

}  // namespace consilium::simulation
