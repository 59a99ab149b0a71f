// How far every voxel is from a region.
//
// The exact Euclidean distance between voxel centres, in mm, axis by axis: along a line the squared
// distance is the lower envelope of one parabola a voxel. Source: Felzenszwalb & Huttenlocher,
// Theory of Computing 8:415-428, 2012.
#pragma once

#include <vector>

#include "engine/grid.h"

namespace consilium::engine {

// [voxel_count] squared distance in mm2 to the nearest voxel of `mask`; 0 inside, infinite
// everywhere if it is empty.
[[nodiscard]] std::vector<double> SquaredDistancesTo(const Mask& mask);

}  // namespace consilium::engine
