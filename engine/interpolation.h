// The value of an image between its voxels: weights of old voxels along each axis.
//
// Beyond the grid as resample.h says: the nearest voxel repeats (nearest, linear), or the image is
// mirrored (cubic).
#pragma once

#include <array>
#include <cstddef>

#include "engine/grid.h"
#include "engine/resample.h"

namespace consilium::engine {

// Some old voxels of a line, and their weights.
struct Taps {
  std::array<int, 4> at{};
  std::array<double, 4> weight{};
  int count = 0;
};
// At `position`, in voxels, of a line of n. Weights of kCubicSpline are of spline coefficients.
[[nodiscard]] Taps TapsAt(double position, int n, Interpolation how);

// Values to coefficients of the cubic B-spline through them, along one axis.
void ToSplineCoefficients(Image& image, std::size_t axis);
// Splines see all of a line, but what lies farther than this adds less than 1e-22 of it.
inline constexpr int kSplineReach = 40;

// An interpolated mask (0 and 1) is inside from here on: one half, less what rounding takes.
inline constexpr double kInsideFrom = 0.5 - 1e-6;

}  // namespace consilium::engine
