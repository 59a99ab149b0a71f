// Pieces of an image of even intensity and about equal size.
//
// SLIC: centres on an even lattice gather the voxels that are near in space and intensity, move to
// their means, and gather again. Source: Achanta et al., IEEE TPAMI 34:2274-2282, 2012.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

struct SupervoxelOptions {
  double step_mm = 5;  // between centres at the start; > 0
  // How many standard deviations of intensity (in the box) part as much as step_mm; > 0.
  double contrast_sds = 0.5;
  int iterations = 10;  // >= 1
};
struct Supervoxels {
  Grid grid;                         // of the box
  std::vector<std::uint32_t> label;  // [voxel_count] 0 to count - 1
  std::uint32_t count = 0;           // centres at the start; some may end without voxels
};
// Of `image` in `box` (not empty, within the grid). A voxel goes to the centre with the least
// (dI / contrast)^2 + (d / step)^2 among those within step_mm along every axis, the first of equal
// ones; without such a centre it stays with the one it had, at the start that of its block of the
// lattice. Fragments are not joined to their neighbours. Errors: kInvalidArgument (an option out of
// bounds, an intensity in the box is not finite).
[[nodiscard]] Result<Supervoxels> SupervoxelsOf(const Image& image, const Box& box,
                                                const SupervoxelOptions& options = {});

}  // namespace consilium::engine
