#include "engine/labels.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

namespace consilium::engine {
namespace {

constexpr double kWholeMax = 9007199254740992.0;  // 2^53: beyond it doubles skip whole numbers

}  // namespace

Result<std::vector<Label>> LabelsOf(const Image& image) {
  std::map<std::int64_t, std::size_t> counts;
  const VoxelValues& values = image.values;
  for (std::size_t i = 0; i < values.size();) {
    const double value = values[i];
    if (std::floor(value) != value || !(std::abs(value) <= kWholeMax)) {
      return Fail(ErrorCode::kInvalidArgument,
                  "holds numbers that are not whole, so it is no label map; give the file that "
                  "was drawn, not the image, and do not interpolate it");
    }
    std::size_t end = i + 1;  // labels come in runs
    while (end < values.size() && values[end] == value) ++end;
    counts[static_cast<std::int64_t>(value)] += end - i;
    if (counts.size() > kLabelsMax + 1) {
      return Fail(
          ErrorCode::kResourceExhausted,
          fmt::format("holds more than {} labels; is it an image of intensities?", kLabelsMax));
    }
    i = end;
  }
  std::vector<Label> labels;
  for (const auto& [value, voxels] : counts) {
    if (value != 0) labels.push_back({value, voxels});
  }
  return labels;
}

Mask MaskOf(const Image& image, std::int64_t label) {
  Mask mask{image.grid, {}};
  mask.inside.reserve(image.values.size());
  const auto wanted = static_cast<double>(label);
  for (const double value : image.values) mask.inside.push_back(value == wanted ? 1 : 0);
  return mask;
}

}  // namespace consilium::engine
