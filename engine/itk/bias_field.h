// The slow shading that a receive coil leaves on MR, estimated and divided out: N4.
//
// Intensities of a tissue are sharpened into their histogram's peaks, the rest of the logarithm is
// smoothed by B-splines whose control points double from level to level, and so on until the field
// changes little. By ITK's filter, on an image shrunk for speed; the field itself is evaluated on
// all voxels. Source: Tustison et al., IEEE TMI 29(6):1310-1320, 2010; Sled, Zijdenbos & Evans,
// IEEE TMI 17(1):87-97, 1998.
//
// One thread, whatever ITK's default says: sums over work units would depend on how many there
// are. ITK calculates in single precision with the system's mathematical library, so bits repeat
// on one machine and with any number of threads, but not on every processor.
#pragma once

#include <vector>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine::itk_files {

struct BiasFieldOptions {
  // Every n-th voxel along an axis is looked at, as long as kShrunkMin voxels are left; >= 1.
  int shrink_factor = 4;
  std::vector<int> iterations = {50, 50, 50, 50};  // at most, on each level; 1 to 10 levels
  double convergence = 0.001;  // a level ends where the field's change varies less; > 0
  // Between the first level's knots; each next level halves it. > 0.
  double spline_distance_mm = 200;
};
inline constexpr int kShrunkMin = 8;

struct BiasCorrection {
  Image image;  // divided by the field
  Image field;  // > 0; around 1
};
// The field is estimated where `mask` is and intensities are > 0, and divided out everywhere.
// Errors: kInvalidArgument (an option out of bounds, the grids differ, an intensity is not finite),
// kFailedPrecondition (no voxel to look at: mask is empty, or nothing in it is > 0; intensities do
// not vary there), kInternal (what ITK says).
[[nodiscard]] Result<BiasCorrection> CorrectBiasField(const Image& image, const Mask& mask,
                                                      const BiasFieldOptions& options = {});
// The mask is what is brighter than Otsu's threshold of all voxels. Errors: as above.
[[nodiscard]] Result<BiasCorrection> CorrectBiasField(const Image& image,
                                                      const BiasFieldOptions& options = {});

}  // namespace consilium::engine::itk_files
