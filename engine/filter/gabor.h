// The response to Gabor's filter, whose settings are GaborFilter's.
//
// Slices of a plane, with the image around the box by the boundary rule, are multiplied in the
// spectrum with that of the sampled kernel of each direction. The modulus has a period of half a
// turn, so that at most half a turn is gone through.
#pragma once

#include "engine/filter/ibsi_filter.h"

namespace consilium::engine {

// Errors: kInvalidArgument (see GaborFilter and Filtered).
[[nodiscard]] Result<Image> GaborResponse(const Image& image, const GaborFilter& filter,
                                          const Box& box);

}  // namespace consilium::engine
