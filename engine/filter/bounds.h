// Settings of filters held to their bounds.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string_view>

#include "base/result.h"

namespace consilium::engine {

inline constexpr int kReachMax = 511;  // voxels to each side

// Errors: kInvalidArgument (names the setting).
[[nodiscard]] inline Result<void> InBounds(std::string_view setting, int value, int low, int high) {
  if (value >= low && value <= high) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} = {}, must be {} to {}", setting, value, low, high));
}
[[nodiscard]] inline Result<void> Positive(std::string_view setting, double value) {
  if (value > 0 && std::isfinite(value)) return {};
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{} = {}, must be > 0", setting, value));
}

// A reach in voxels, rounded by the caller, as a whole number.
[[nodiscard]] inline Result<int> ReachOf(double voxels) {
  if (voxels <= kReachMax) return static_cast<int>(voxels);
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("the filter reaches {:.0f} voxels far, and at most {} are allowed: take "
                          "a smaller sigma or larger voxels",
                          voxels, kReachMax));
}

}  // namespace consilium::engine
