// The mean intensity around the brightest voxel, and the brightest such mean.
//
// A neighbourhood is a sphere of 1 cm3: all voxels of the image whose centres lie within
// (3 / (4 pi))^(1/3) cm of the voxel's centre. Source: IBSI reference manual, "Local intensity
// features" (9ST6).
#pragma once

#include "engine/feature_list.h"
#include "engine/grid.h"

namespace consilium::engine {

struct LocalIntensityFeatures : Averaged<LocalIntensityFeatures> {
  double local_peak = kUndefined, global_peak = kUndefined;

  template <typename Features, typename Visitor>
  static void Visit(Features&& f, Visitor&& visit) {
    visit(FeatureName{"local_peak", "VJGA", ""}, f.local_peak);
    visit(FeatureName{"global_peak", "0F91", ""}, f.global_peak);
  }
};
// `image` and `mask` on one grid; the spheres reach beyond the mask. Of several brightest voxels
// the one with the highest mean counts. All NaN without a voxel.
[[nodiscard]] LocalIntensityFeatures LocalIntensity(const Image& image, const Mask& mask);

}  // namespace consilium::engine
