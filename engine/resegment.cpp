#include "engine/resegment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/intensity.h"

namespace consilium::engine {

Result<Mask> Resegment(const Image& image, const Mask& mask, const Resegmentation& how) {
  if (how.low && how.high && !(*how.low <= *how.high)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("resegmentation range [{}, {}] is empty", *how.low, *how.high));
  }
  if (how.outlier_sigmas && !(*how.outlier_sigmas > 0)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("outlier_sigmas = {}, must be > 0", *how.outlier_sigmas));
  }
  Mask result = mask;
  const auto keep_within = [&](double low, double high) {
    for (std::size_t i = 0; i < image.values.size(); ++i) {
      if (!(image.values[i] >= low && image.values[i] <= high)) result.inside[i] = 0;
    }
  };
  constexpr double kEndless = std::numeric_limits<double>::infinity();
  keep_within(how.low.value_or(-kEndless), how.high.value_or(kEndless));
  if (how.outlier_sigmas) {
    const IntensityFeatures f = IntensityStatistics(IntensitiesOf(image, result));
    const double reach = *how.outlier_sigmas * std::sqrt(f.variance);
    keep_within(f.mean - reach, f.mean + reach);
  }
  if (std::find(result.inside.begin(), result.inside.end(), 1) == result.inside.end()) {
    const std::vector<double> before = IntensitiesOf(image, mask);
    const auto [least, most] = std::minmax_element(before.begin(), before.end());
    return Fail(ErrorCode::kInvalidArgument,
                before.empty()
                    ? std::string("the region has no voxel")
                    : fmt::format("resegmentation leaves none of the region's {} voxels, whose "
                                  "intensities are {} to {}; widen the range",
                                  before.size(), *least, *most));
  }
  return result;
}

std::vector<double> IntensitiesOf(const Image& image, const Mask& mask) {
  std::vector<double> values;
  values.reserve(VoxelsIn(mask));
  image.values.Visit([&](const auto& all) {
    ForEachRun(mask, 0, mask.inside.size(), [&](std::size_t first, std::size_t length) {
      const auto from = all.begin() + static_cast<std::ptrdiff_t>(first);
      values.insert(values.end(), from, from + static_cast<std::ptrdiff_t>(length));
    });
  });
  return values;
}

void RoundIntensities(Image& image) {
  for (double& value : image.values.Doubles()) value = std::round(value);
}

}  // namespace consilium::engine
