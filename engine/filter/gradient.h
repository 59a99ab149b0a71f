// The size of an image's gradient, by central differences; the image goes on as its last voxel.
//
// Source: ITK's GradientMagnitudeImageFilter, which PyRadiomics takes: sqrt(sum over axes of
// ((x_(i+1) - x_(i-1)) / 2 d)^2), in single precision.
#pragma once

#include "engine/grid.h"

namespace consilium::engine {

// `image` filtered, cut to `box` (not empty, within the grid). `use_spacing`: d are the voxels'
// distances in mm, else 1.
[[nodiscard]] Image GradientMagnitude(const Image& image, bool use_spacing, const Box& box);

}  // namespace consilium::engine
