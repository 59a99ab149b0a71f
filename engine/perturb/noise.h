// An image as it would be with other noise of the same strength.
//
// The noise already there is estimated from the finest diagonal sub-band of an orthonormal wavelet
// (coiflet 1), where tissue leaves little: its standard deviation is the median of the absolute
// coefficients over 0.6745. Sources: Donoho & Johnstone, Biometrika 81:425-455, 1994; Chang, Yu &
// Vetterli, IEEE TIP 9:1532-1546, 2000; Zwanenburg et al., Scientific Reports 9:614, 2019.
#pragma once

#include "base/result.h"
#include "base/rng.h"
#include "engine/grid.h"

namespace consilium::engine {

// Standard deviation of the noise over the voxels of `mask` (where the signal is: in an empty
// background the noise of magnitude images is another, or cut to 0). An axis of one voxel is not
// filtered. Errors: kInvalidArgument (the grids differ, the mask is empty, all axes have one voxel,
// an intensity is not finite).
[[nodiscard]] Result<double> NoiseLevel(const Image& image, const Mask& mask);

// `image` plus independent normal noise, voxel by voxel in memory's order. sd >= 0, finite.
[[nodiscard]] Image WithNoise(const Image& image, double sd, Rng& rng);

}  // namespace consilium::engine
