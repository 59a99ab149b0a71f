// The Laplacian of a Gaussian, as PyRadiomics has it: by recursive filters, times sigma squared.
//
// A Gaussian and its second derivative are approximated by the sum of a causal and an anticausal
// recursion of fourth order; the image goes on beyond its border as its last voxel. The Laplacian
// is the sum over axes of the second derivative along one and the Gaussian along the others. Values
// are rounded to single precision after each pass, as ITK's filter does. The recursions reach
// without end, so the box is filtered with a margin of 12 sigma, beyond which less than 1e-7 of an
// intensity comes in. Source: Deriche, INRIA RR-1893, 1993; Farneback & Westin, J. Math. Imaging
// Vis. 26:293-299, 2006 (the normalisation).
#pragma once

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

// `image` filtered, cut to `box` (not empty, within the grid). sigma_mm > 0.
// Errors: kInvalidArgument (sigma_mm <= 0; fewer than four voxels along an axis).
[[nodiscard]] Result<Image> LaplacianOfGaussian(const Image& image, double sigma_mm,
                                                const Box& box);

}  // namespace consilium::engine
