// Local binary patterns in space: which points of a sphere around a voxel are not below it.
//
// Notation: points v of a subdivided icosahedron, in voxels, whose x, y, z count along the image's
// z, y, x; t_v their intensities by cubic splines, 0 outside the image; s_v = 1 where t_v >= the
// voxel's, else 0. Level n has f(v) = sum_u s_u sum_m Y_nm(u) Y_nm(v) on the sphere, and the
// voxel's value is the norm sqrt(sum_v f(v)^2). Source: Banerjee, Moelker, Niessen & van Walsum,
// ACCV 2012 Workshops, LNCS 7728, 2013; as PyRadiomics has it, where no factor is conjugated and
// Y_nm takes a point's polar angle for its azimuth and the reverse: turned images have other norms.
#pragma once

#include <vector>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

struct LocalBinaryPattern3dOptions {
  int levels = 2;        // n is 0 to levels - 1; 2 to kPatternLevelsMax
  double radius = 1;     // > 0
  int subdivisions = 1;  // 0 to kPatternSubdivisionsMax: 12, 42, 162 or 642 points
};
inline constexpr int kPatternLevelsMax = 10;
inline constexpr int kPatternSubdivisionsMax = 3;

struct LocalBinaryPatterns3dImages {
  std::vector<Image> norms;  // [levels]
  Image kurtosis;            // of t, less 3; -3 where t is flat
};

// Images of `image`, cut to `box` (not empty, within the grid). Of whole numbers, t is rounded to a
// number of that kind; others are compared in single precision, so that a neighbour of the same
// intensity is not below for rounding's sake.
// Errors: kInvalidArgument (an option out of its bounds).
[[nodiscard]] Result<LocalBinaryPatterns3dImages> LocalBinaryPatterns3d(
    const Image& image, const LocalBinaryPattern3dOptions& options, const Box& box);

}  // namespace consilium::engine
