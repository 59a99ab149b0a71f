// The demo study: five generated hospitals with images, whose truth is known.
//
// Every patient has an MR volume of a lumbar vertebral body and a drawn mask of it. Four hidden
// traits of the body - how coarse its trabeculae are, how much its marrow varies, how patchy its
// fat is, how much height it lost - decide the outcome with age and BMI, through one logistic
// regression that is the same in every hospital. Features must find them: each hospital has a
// scanner with a gain, a bias field, noise, a point spread and voxels of its own. Everything
// follows from the seed, with the same bits on every machine. The model in words, formulas and
// figures: docs/demo.md.
//
// Notation: hospital h (hospitals.h), traits standard normal, eta the linear predictor of the
// event.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/place.h"
#include "simulation/generated/hospitals.h"

namespace consilium::simulation {

// What makes a vertebral body, in standard deviations over patients.
struct Traits {
  double coarseness = 0;   // of the trabeculae: the length over which marrow is alike
  double contrast = 0;     // between trabeculae and marrow
  double patches = 0;      // of fat, larger than trabeculae
  double height_loss = 0;  // and, with it, wedging
};
// Log-odds of the event a standard deviation of each.
[[nodiscard]] Traits TrueLogOdds();

// One image to be made.
struct ImagedCase {
  std::size_t hospital = 0;  // index in Hospitals()
  std::uint64_t number = 0;  // within the hospital
  std::string image, mask;   // paths, from the study's folder
  Patient patient;
  Traits traits;
};

struct GeneratedImageStudy {
  // Relative path -> text: "study.yaml", "params.yaml" (a PyRadiomics parameter file),
  // "cases-NAME.csv", "NAME.yaml" (the cohort file of hospital NAME, which reads
  // "features/NAME/features.csv") and "data/NAME/*.csv".
  std::map<std::string, std::string> files;
  std::vector<std::string> hospitals;  // as the study lists them
  std::vector<ImagedCase> cases;
  // Hospital -> AUC of eta in that hospital's population, rounded to 4 decimals.
  std::map<std::string, double> true_external_auc;
};

// Size 1 has as many patients as Hospitals() says, 160 at most. Aborts if an option is out of
// its bounds.
[[nodiscard]] GeneratedImageStudy GenerateImageStudy(const GeneratedOptions& options = {});

struct Volume {
  engine::PlacedImage image;  // whole numbers from 0 to 32767
  engine::PlacedMask mask;    // the body as a reader drew it
};
// The volume of a case: sagittal slices, tilted as the patient lay. The same for the same seed and
// case.
[[nodiscard]] Volume DrawVolume(std::uint64_t seed, const ImagedCase& one);

// `patients` new patients of `hospital`, from `sample_seed`; the model is that of options.seed. The
// true AUC is that of such a sample. Aborts if the hospital is unknown.
[[nodiscard]] PopulationSample DrawImagedPopulation(const GeneratedOptions& options,
                                                    std::string_view hospital, int patients,
                                                    std::uint64_t sample_seed);

}  // namespace consilium::simulation
