// Filters that multiply the spectrum of the whole image: Simoncelli's wavelets, Riesz' transform.
//
// Source: Portilla & Simoncelli, International Journal of Computer Vision 40(1):49-70, 2000;
// Depeursinge et al., Proc. SPIE 11159, 2019 (Riesz' transform); IBSI-2 reference manual.
#pragma once

#include "engine/filter/ibsi_filter.h"

namespace consilium::engine {

// Errors: kInvalidArgument (level).
[[nodiscard]] Result<Image> SimoncelliResponse(const Image& image, const SimoncelliFilter& filter,
                                               const Box& box);
// Errors: kInvalidArgument (order; those of the filter it is of).
[[nodiscard]] Result<Image> RieszResponse(const Image& image, const RieszFilter& filter,
                                          const Box& box);

}  // namespace consilium::engine
