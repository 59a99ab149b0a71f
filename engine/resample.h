// An image on other voxels.
//
// Along each axis separately: a new voxel's value is a weighted sum of old voxels on its line.
// Beyond the old grid the nearest voxel repeats (linear), or the image is mirrored (cubic). Source:
// IBSI reference manual, "Image interpolation" (VTM2); cubic: Unser, IEEE Signal Processing
// Magazine 16(6):22-38, 1999 (interpolating B-spline).
#pragma once

#include <array>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

enum class Interpolation { kNearest, kLinear, kCubicSpline };

// Where the new voxels lie.
enum class GridAlignment {
  kCentres,     // the centres of both grids coincide (IBSI); ceil(n s / s') voxels along an axis
  kFirstVoxel,  // the outer corners of the first voxels coincide (PyRadiomics)
};

struct Resampling {
  // 0 for an axis whose voxels stay as they are; else > 0.
  std::array<double, 3> spacing_mm{};
  Interpolation interpolation = Interpolation::kLinear;
  GridAlignment alignment = GridAlignment::kCentres;
};

// The grid that `how` gives. Errors: kInvalidArgument (a spacing that is negative or not finite),
// kOutOfRange (more than 2^31 voxels).
[[nodiscard]] Result<Grid> ResampledGrid(const Grid& grid, const Resampling& how);
// Errors: those of ResampledGrid.
[[nodiscard]] Result<Image> Resample(const Image& image, const Resampling& how);
// A voxel is inside where the interpolated mask (0 and 1) is at least one half, less 1e-6 for those
// that are exactly one half but for rounding.
[[nodiscard]] Result<Mask> Resample(const Mask& mask, const Resampling& how);

}  // namespace consilium::engine
