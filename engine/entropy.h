// Entropies in bits, with the same bits on every machine.
#pragma once

#include <numbers>

#include "base/portable_math.h"

namespace consilium::engine {

// -p log2 p; 0 for p = 0. The sum of it over a distribution is its entropy.
[[nodiscard]] inline double EntropyTerm(double p) {
  return p > 0 ? -p * Log(p) * std::numbers::log2e : 0;
}

}  // namespace consilium::engine
