// How alike intensities are that lie near each other.
//
// Source: IBSI reference manual, "Morphological features" (N365, NPT7); Moran, Biometrika 37:17-23,
// 1950; Geary, The Incorporated Statistician 5:115-145, 1954.
#pragma once

#include "engine/feature_list.h"
#include "engine/grid.h"

namespace consilium::engine {

// Moran's I and Geary's C of the intensities, weighted by 1 / distance in mm between centres. Sums
// over all pairs: directly for few voxels, else as an autocorrelation by FFT.
struct SpatialCorrelation {
  double morans_i = kUndefined, gearys_c = kUndefined;
};
[[nodiscard]] SpatialCorrelation SpatialCorrelationOf(const Image& image, const Mask& mask);

}  // namespace consilium::engine
