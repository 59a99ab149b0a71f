// A region measured again with the patient lying a little elsewhere.
//
// Image and mask are moved by fractions of a voxel and turned about the centre of the region's box,
// and interpolated on the same grid: what a second scan would change, without one. Source:
// Zwanenburg et al., Scientific Reports 9:614, 2019.
#pragma once

#include <array>
#include <cstddef>

#include "base/result.h"
#include "engine/grid.h"
#include "engine/resample.h"

namespace consilium::engine {

struct Displacement {
  std::array<double, 3> shift_voxels{};  // the content moves so far along x, y, z
  double rotation_degrees = 0;           // from the next axis towards the one after: x to y about z
  std::size_t axis = 2;                  // about which it is turned: 0, 1 or 2
  Interpolation interpolation = Interpolation::kLinear;  // of the image; the mask's is linear, or
                                                         // nearest with it
};
struct DisplacedRegion {
  Image image;
  Mask mask;  // where the moved mask (0 and 1) is at least one half, as in Resample
};
// First turned, then shifted. Errors: kInvalidArgument (the grids differ, the mask is empty, axis
// out of bounds, an angle or shift that is not finite or beyond 1,000), kOutOfRange (the mask has
// left the grid).
[[nodiscard]] Result<DisplacedRegion> Displaced(const Image& image, const Mask& mask,
                                                const Displacement& how);

}  // namespace consilium::engine
