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

// The centres of the new grid and the old one coincide (IBSI); ceil(n s / s') voxels along an axis.
struct Resampling {
  // 0 for an axis whose voxels stay as they are; else > 0.
  std::array<double, 3> spacing_mm{};
  Interpolation interpolation = Interpolation::kLinear;
};

// The grid that `how` gives. Errors: kInvalidArgument (a spacing that is negative or not finite),
// kOutOfRange (more than 2^31 voxels).
[[nodiscard]] Result<Grid> ResampledGrid(const Grid& grid, const Resampling& how);
// Errors: those of ResampledGrid.
[[nodiscard]] Result<Image> Resample(const Image& image, const Resampling& how);
// A voxel is inside where the interpolated mask (0 and 1) is at least one half, less 1e-6 for those
// that are exactly one half but for rounding.
[[nodiscard]] Result<Mask> Resample(const Mask& mask, const Resampling& how);

// New voxels around a region only, as PyRadiomics takes them: of a grid whose first voxel has its
// outer corner where the old one's is.
struct PartialGrid {
  Grid grid;
  std::array<double, 3> first{},
      step{};  // voxel i of an axis lies at first + i step, in old voxels
};
// The new voxels that hold `box` (not empty, within `grid`) and `pad` >= 0 more to each side, as
// far as `grid` reaches. Errors: kInvalidArgument (a spacing that is not > 0 or not finite),
// kOutOfRange (more than 2^31 voxels).
[[nodiscard]] Result<PartialGrid> GridAround(const Box& box, const Grid& grid,
                                             const std::array<double, 3>& spacing_mm, int pad);
// Voxels whose centre is outside the old grid are 0. The new numbers are of the image's kind: the
// next whole one towards 0, or the nearest of single precision, as ITK has it.
[[nodiscard]] Image Resample(const Image& image, const PartialGrid& to, Interpolation how);
// The nearest voxel's.
[[nodiscard]] Mask Resample(const Mask& mask, const PartialGrid& to);

}  // namespace consilium::engine
