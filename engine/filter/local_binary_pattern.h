// Local binary patterns of slices: which points of a circle around a pixel are not below it.
//
// Notation: P points at radius R, in pixels, counted from the column's direction; t_k their
// intensities, interpolated linearly, 0 outside the slice; s_k = 1 where t_k >= the pixel's. Points
// are rounded to 5 decimals. Source: Ojala, Pietikainen & Maenpaa, IEEE PAMI 24(7):971-987, 2002;
// scikit-image's local_binary_pattern, which PyRadiomics takes.
#pragma once

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

enum class LocalBinaryPattern {
  kDefault,            // sum_k s_k 2^k
  kRotationInvariant,  // "ror": the least of that over rotations of s
  kUniform,            // "uniform": sum_k s_k where s changes at most twice, else P + 1
  kVariance,           // "var": the variance of t; NaN where it is 0
};

struct LocalBinaryPatternOptions {
  double radius = 1;  // > 0
  int samples = 8;    // P; 1 to kPatternSamplesMax
  LocalBinaryPattern method = LocalBinaryPattern::kUniform;
  int across = 0;  // slices lie across z, y or x (0, 1, 2)
};
inline constexpr int kPatternSamplesMax = 30;

// `image` filtered, cut to `box` (not empty, within the grid). Of whole numbers the patterns are
// whole numbers of that kind, cut off behind the point.
// Errors: kInvalidArgument (an option out of its bounds), kOutOfRange (a pattern beyond the largest
// number of the image's kind).
[[nodiscard]] Result<Image> LocalBinaryPatterns(const Image& image,
                                                const LocalBinaryPatternOptions& options,
                                                const Box& box);

}  // namespace consilium::engine
