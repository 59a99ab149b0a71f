// A digital phantom: an image and a region that every machine makes alike.
//
// A study carries the features that its lead's machine took from it, and a hospital must reproduce
// them before its first round: another engine, other settings or a broken installation is found
// before a patient's features count. Shape, texture and a gradient are there so that no feature is
// trivial: an ellipsoid with a notch of 36 x 32 x 24 voxels, 0.9 x 1.1 x 2 mm, whole intensities
// of 0 to 400.
#pragma once

#include "base/result.h"
#include "engine/grid.h"
#include "extraction/outcome.h"
#include "extraction/settings.h"

namespace consilium::extraction {

struct Phantom {
  engine::Image image;
  engine::Mask mask;
};
[[nodiscard]] Phantom MakePhantom();

// Its row under these settings. Errors: those of the steps and features.
[[nodiscard]] Result<RegionRow> PhantomFeatures(const Settings& settings);

// What a study file says under `extraction`: engine, settings word for word, the phantom's
// features. YAML, ending with a newline. Features that are not finite are left out.
[[nodiscard]] std::string StudySection(std::string_view settings_text, const RegionRow& phantom);

}  // namespace consilium::extraction
