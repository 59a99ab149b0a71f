// A mask onto the voxels of the image that it was drawn on.
//
// Programs write the same grid with other rounding, or cut out, turn, mirror, shift or refine it.
// What lies within a thousandth of a voxel is the same grid and is taken as it is; any other grid
// that meets the image is looked up at the image's voxel centres (nearest neighbour) and said in a
// sentence; the rest is an error that shows both grids. There is no tolerance to turn.
#pragma once

#include <string>

#include "engine/place.h"

namespace consilium::engine {

inline constexpr double kSameGridVoxels = 1e-3;

struct Reconciled {
  Mask mask;         // on the image's grid
  std::string note;  // what was done, a sentence; empty where the grids are the same
};

// Errors: kInvalidArgument (a grid without inverse, or a region of which no voxel comes to lie in
// the image: both grids are in the message).
[[nodiscard]] Result<Reconciled> Reconcile(const PlacedMask& mask, const Grid& grid,
                                           const Place& place);

}  // namespace consilium::engine
