// Label maps: an image whose whole numbers say what each voxel belongs to; 0 belongs to nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

struct Label {
  std::int64_t value = 0;  // not 0
  std::size_t voxels = 0;  // > 0
  friend bool operator==(const Label&, const Label&) = default;
};

// No drawing has more; an image of intensities that is taken for a label map soon has.
inline constexpr std::size_t kLabelsMax = 65535;

// Every label of an image, by value, in one pass. Errors: kInvalidArgument (a value that is not a
// whole number of at most 2^53: no label map), kResourceExhausted (more than kLabelsMax labels).
[[nodiscard]] Result<std::vector<Label>> LabelsOf(const Image& image);

[[nodiscard]] Mask MaskOf(const Image& image, std::int64_t label);

}  // namespace consilium::engine
