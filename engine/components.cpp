#include "engine/components.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace consilium::engine {

Components ComponentsOf(const Mask& mask, Touching touching) {
  Components result;
  result.label.resize(mask.inside.size());
  const Box box = BoundingBoxOf(mask);
  if (box.empty) return result;
  const int far = touching == Touching::kBySides ? 1 : 3;  // most steps along axes to a neighbour
  std::vector<std::array<int, 3>> waiting;
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      for (int x = box.first[0]; x <= box.last[0]; ++x) {
        const auto reach = [&](const std::array<int, 3>& at) {
          const std::size_t i = mask.grid.Index(at[0], at[1], at[2]);
          if (mask.inside[i] == 0 || result.label[i] != 0) return;
          result.label[i] = static_cast<std::uint32_t>(result.voxels.size());
          ++result.voxels.back();
          waiting.push_back(at);
        };
        const std::size_t here = mask.grid.Index(x, y, z);
        if (mask.inside[here] == 0 || result.label[here] != 0) continue;
        result.voxels.push_back(0);
        reach({x, y, z});
        while (!waiting.empty()) {
          const std::array<int, 3> at = waiting.back();
          waiting.pop_back();
          std::array<int, 3> low{}, high{};
          for (std::size_t axis = 0; axis < 3; ++axis) {
            low[axis] = std::max(at[axis] - 1, box.first[axis]);
            high[axis] = std::min(at[axis] + 1, box.last[axis]);
          }
          for (int k = low[2]; k <= high[2]; ++k) {
            for (int j = low[1]; j <= high[1]; ++j) {
              for (int i = low[0]; i <= high[0]; ++i) {
                if (std::abs(i - at[0]) + std::abs(j - at[1]) + std::abs(k - at[2]) <= far)
                  reach({i, j, k});
              }
            }
          }
        }
      }
    }
  }
  return result;
}

Mask LargestComponent(const Mask& mask) {
  const Components components = ComponentsOf(mask);
  if (components.voxels.size() < 2) return mask;
  const auto largest = std::max_element(components.voxels.begin(), components.voxels.end());
  const auto label = static_cast<std::uint32_t>(largest - components.voxels.begin() + 1);
  Mask result = mask;
  for (std::size_t i = 0; i < result.inside.size(); ++i)
    result.inside[i] = components.label[i] == label ? 1 : 0;
  return result;
}

std::vector<std::size_t> HolesOf(const Mask& mask) {
  const Box box = BoundingBoxOf(mask);
  if (box.empty) return {};
  // The outside in the region's box and one voxel around it, where all of it hangs together.
  const Mask region = Cut(mask, box);
  Mask outside;
  for (std::size_t axis = 0; axis < 3; ++axis) outside.grid.size[axis] = region.grid.size[axis] + 2;
  outside.inside.assign(outside.grid.voxel_count(), 1);
  for (int z = 0; z < region.grid.size[2]; ++z) {
    for (int y = 0; y < region.grid.size[1]; ++y) {
      for (int x = 0; x < region.grid.size[0]; ++x) {
        outside.inside[outside.grid.Index(x + 1, y + 1, z + 1)] =
            region.inside[region.grid.Index(x, y, z)] == 0 ? 1 : 0;
      }
    }
  }
  std::vector<std::size_t> parts = ComponentsOf(outside, Touching::kBySides).voxels;
  parts.erase(parts.begin());  // around the region
  return parts;
}

}  // namespace consilium::engine
