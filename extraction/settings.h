// What is done to an image before features, and which features are taken: one file.
//
// Either a PyRadiomics parameter file as it is, or one of ours: steps before features, what a
// plausible region is, how regions are perturbed to see what is stable, and one dialect:
// `pyradiomics` (a parameter file's content) or `ibsi`. Every key is understood or refused with its
// place. Format: docs/formats/extraction.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "engine/filter/ibsi_filter.h"
#include "engine/ibsi.h"
#include "engine/intensity_scale/landmarks.h"
#include "engine/intensity_scale/reference_tissue.h"
#include "engine/intensity_scale/standard_score.h"
#include "engine/itk/bias_field.h"
#include "engine/mask_quality.h"
#include "engine/pyradiomics.h"
#include "engine/semantic.h"
#include "extraction/perturbation.h"

namespace consilium::extraction {

// Steps before features. Where `within_region`, mean, landmarks or stripe are those of the region
// at hand; else of the whole image (landmarks and stripe: of what is brighter than its mean).
struct BiasField {
  engine::itk_files::BiasFieldOptions options;
};
struct StandardScoreStep {
  engine::StandardScore how;
  bool within_region = false;
};
struct LandmarksStep {
  engine::LandmarkTemplate standard;
  bool within_region = false;
};
struct StripeStep {
  engine::StripeRule rule;
  engine::TissueScale scale = engine::TissueScale::kStandardScore;
};
using Step = std::variant<BiasField, StandardScoreStep, LandmarksStep, StripeStep>;

// A response map of the IBSI dialect.
struct IbsiImage {
  std::string name;  // "log-3mm"; begins its features' names
  engine::IbsiFilter filter;
  // How its values are put into levels; none: statistics only.
  std::optional<engine::Discretisation> bins;
};
struct IbsiChoice {
  engine::IbsiSettings settings;
  bool original = true;
  std::vector<IbsiImage> images;
};

struct Settings {
  std::vector<Step> steps;
  engine::PlausibleRegion plausible;
  std::optional<engine::SemanticOptions> semantic;  // also what a reader would measure
  std::variant<engine::PyradiomicsSettings, IbsiChoice> dialect;
  PerturbationChoice perturb;      // of every region, besides the region itself
  int label = 1;                   // of a label map, where a case names none
  Digest digest;                   // of the file's bytes, lines ending with LF
  std::vector<std::string> notes;  // what people should know, in sentences
};

// Whether the same features come out on every processor, to the bit; N4's do not.
[[nodiscard]] bool SameBitsEverywhere(const Settings& settings);

// Errors: kInvalidArgument (every problem with its place), kResourceExhausted (beyond a limit).
[[nodiscard]] Result<Settings> ReadSettings(std::string_view text, const std::string& name);

// A PyRadiomics parameter file has no key for perturbations: one of our files that has both,
// `parameters` under its key `pyradiomics` and `perturb` under `perturb`, each word for word. What
// it gives without perturbations is what the parameter file gives. Errors: ReadSettings' of both
// files; kInvalidArgument (`parameters` is one of our files, which has the key).
[[nodiscard]] Result<std::string> WithPerturbations(std::string_view parameters,
                                                    const std::string& name,
                                                    std::string_view perturb,
                                                    const std::string& perturb_name);

}  // namespace consilium::extraction
