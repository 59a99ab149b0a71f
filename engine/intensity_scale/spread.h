// Mean and standard deviation of intensities.
#pragma once

#include <cmath>
#include <span>

#include "engine/feature_list.h"

namespace consilium::engine {

struct MeanAndSd {
  double mean = kUndefined, sd = kUndefined;
};
// The squares about the mean are divided by n - 1 (sample) or n. NaN where that is 0.
[[nodiscard]] inline MeanAndSd MeanAndSdOf(std::span<const double> values, bool sample = true) {
  const auto n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const double mean = sum / n;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, std::sqrt(squares / (sample ? n - 1 : n))};
}

}  // namespace consilium::engine
