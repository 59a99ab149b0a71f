#include "engine/otsu.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/quantile.h"

namespace consilium::engine {

Result<double> OtsuThreshold(std::span<const double> values) {
  if (!std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); }))
    return Fail(ErrorCode::kInvalidArgument, "an intensity is not a finite number; mask it out");
  const std::vector<double> sorted = Ascending({values.begin(), values.end()});
  const auto n = static_cast<double>(sorted.size());
  double sum = 0;
  for (const double value : sorted) sum += value;
  const double mean = sum / n;
  // The classes' means lie apart by `low` (sum below the cut, about the mean) n / (below above).
  double low = 0, best = -1, threshold = 0;
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    low += sorted[i - 1] - mean;
    if (sorted[i] == sorted[i - 1]) continue;
    const double below = static_cast<double>(i), between = low * low / (below * (n - below));
    if (between > best) {
      best = between;
      threshold = sorted[i - 1] + (sorted[i] - sorted[i - 1]) / 2;
    }
  }
  if (best < 0) {
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("{} intensities without two different ones have no threshold", sorted.size()));
  }
  return threshold;
}

}  // namespace consilium::engine
