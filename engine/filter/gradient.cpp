#include "engine/filter/gradient.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/filter/convolution.h"

namespace consilium::engine {

Image GradientMagnitude(const Image& image, bool use_spacing, const Box& box) {
  const Grid& grid = image.grid;
  std::vector<float> magnitudes;
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      for (int x = box.first[0]; x <= box.last[0]; ++x) {
        const std::array<int, 3> at = {x, y, z};
        double squares = 0;
        for (std::size_t axis = 0; axis < 3; ++axis) {
          std::array<int, 3> before = at, behind = at;
          before[axis] = std::max(at[axis] - 1, 0);
          behind[axis] = std::min(at[axis] + 1, grid.size[axis] - 1);
          const double difference =
              0.5 * (image.values[grid.Index(behind[0], behind[1], behind[2])] -
                     image.values[grid.Index(before[0], before[1], before[2])]);
          const double slope = use_spacing ? difference / grid.spacing_mm[axis] : difference;
          squares += slope * slope;
        }
        magnitudes.push_back(static_cast<float>(std::sqrt(squares)));
      }
    }
  }
  return {GridOf(RangesOf(box), grid.spacing_mm), std::move(magnitudes)};
}

}  // namespace consilium::engine
