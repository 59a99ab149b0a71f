// Images made of an image voxel by voxel, scaled so that the largest size of an intensity stays.
//
// Notation: m the largest |x| of the whole image.
//   square       (x / sqrt(m))^2
//   square root  sign(x) sqrt(m |x|)
//   logarithm    sign(x) m log(|x| + 1) / log(m + 1)
//   exponential  exp(x log(m) / m)
// Source: PyRadiomics 3.1, getSquareImage, getSquareRootImage, getLogarithmImage and
// getExponentialImage.
#pragma once

#include "engine/grid.h"

namespace consilium::engine {

enum class PixelFunction { kSquare, kSquareRoot, kLogarithm, kExponential };

// `image` cut to `box` (not empty, within the grid), filtered; m is of all of `image`. Of an image
// of zeros: not finite where PyRadiomics divides by m.
[[nodiscard]] Image Pixelwise(const Image& image, PixelFunction function, const Box& box);

}  // namespace consilium::engine
