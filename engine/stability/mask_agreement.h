// How well two masks of one region agree: two readers, or one reader twice.
//
// Overlap counts voxels. Distances are between surfaces, in mm: a surface voxel is an inside voxel
// with an outside voxel at one of its six sides (beyond the image is outside), and its distance is
// that of its centre to the nearest centre of a surface voxel of the other mask. Sources: Dice,
// Ecology 26:297-302, 1945; Jaccard, New Phytologist 11:37-50, 1912; Huttenlocher, Klanderman &
// Rucklidge, IEEE TPAMI 15:850-863, 1993.
#pragma once

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

struct Overlap {
  double dice = 0;     // 2 |A and B| / (|A| + |B|)
  double jaccard = 0;  // |A and B| / |A or B|
};
// Errors: kInvalidArgument (the grids differ), kFailedPrecondition (both are empty).
[[nodiscard]] Result<Overlap> OverlapOf(const Mask& a, const Mask& b);

struct SurfaceDistances {
  double hausdorff_mm = 0;     // the largest distance, either way
  double hausdorff_95_mm = 0;  // the larger one of both ways' 95th percentiles (rank (n - 1) q)
  double mean_mm = 0;          // over the surface voxels of both
};
// Errors: kInvalidArgument (the grids differ), kFailedPrecondition (one is empty).
[[nodiscard]] Result<SurfaceDistances> SurfaceDistancesOf(const Mask& a, const Mask& b);

// The surface voxels of a mask.
[[nodiscard]] Mask SurfaceVoxels(const Mask& mask);

}  // namespace consilium::engine
