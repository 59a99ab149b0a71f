// Quantiles of sorted values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace consilium::engine {

// Of ascending values (at least one), at rank (n - 1) q, linearly between two of them; q in [0, 1].
[[nodiscard]] inline double QuantileOf(std::span<const double> ascending, double q) {
  const double rank = static_cast<double>(ascending.size() - 1) * q;
  const auto below = static_cast<std::size_t>(rank);
  const double here = ascending[below], next = ascending[std::min(below + 1, ascending.size() - 1)];
  return here + (rank - static_cast<double>(below)) * (next - here);
}

[[nodiscard]] inline std::vector<double> Ascending(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace consilium::engine
