// The threshold that parts intensities into two classes as far apart as can be.
//
// Of all cuts between two different values the one with the largest variance between classes;
// exact, without a histogram. Source: Otsu, IEEE Trans. Systems, Man and Cybernetics 9(1):62-66,
// 1979.
#pragma once

#include <span>

#include "base/result.h"

namespace consilium::engine {

// Half-way between the values on both sides of the cut, the lowest of equal cuts. Errors:
// kInvalidArgument (a value is not finite), kFailedPrecondition (there are no two different
// values).
[[nodiscard]] Result<double> OtsuThreshold(std::span<const double> values);

}  // namespace consilium::engine
