// Intensities in standard deviations from their mean: MR has no unit.
//
// x -> scale (x - mean) / SD of the whole image, as PyRadiomics' `normalize` has it, or of a region
// of it. Outliers are set to the limit, not left out, before the scale is applied.
#pragma once

#include <optional>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

struct StandardScore {
  bool sample_sd = true;              // divides by n - 1 (as ITK, PyRadiomics), or by n
  std::optional<double> clip_sigmas;  // beyond so many SD an intensity is set to that many; > 0
  double scale = 1;                   // one SD of the result; > 0
};
// Mean and SD over all voxels. Errors: kInvalidArgument (clip_sigmas or scale <= 0; an intensity
// that counts is not finite), kFailedPrecondition (the intensities do not vary).
[[nodiscard]] Result<Image> ToStandardScore(const Image& image, const StandardScore& how = {});
// Mean and SD over the voxels of `mask`, applied to all. Errors: as above, and kInvalidArgument
// (the grids differ).
[[nodiscard]] Result<Image> ToStandardScore(const Image& image, const Mask& mask,
                                            const StandardScore& how = {});

}  // namespace consilium::engine
