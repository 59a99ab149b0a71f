// The intensity mask: the voxels of a region whose intensities count.
//
// The morphological mask stays as it is. Source: IBSI reference manual, "Re-segmentation" (USB3,
// 7ACA).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

struct Resegmentation {
  // Intensities outside [low, high] are left out; either end may be missing.
  std::optional<double> low, high;
  // Intensities farther than so many standard deviations from the mean of the region (after the
  // range) are left out. > 0.
  std::optional<double> outlier_sigmas;
};
// `image` and `mask` on one grid. Errors: kInvalidArgument (low > high, sigmas <= 0, or no voxel is
// left: says how many there were and their range).
[[nodiscard]] Result<Mask> Resegment(const Image& image, const Mask& mask,
                                     const Resegmentation& how);

// The intensities of the region, in the order of its voxels.
[[nodiscard]] std::vector<double> IntensitiesOf(const Image& image, const Mask& mask);

// To the nearest integer, halves away from zero.
void RoundIntensities(Image& image);

}  // namespace consilium::engine
