#include "engine/grid.h"

#include <algorithm>
#include <cstring>

namespace consilium::engine {

std::size_t VoxelsIn(const Mask& mask) {
  std::size_t voxels = 0;
  ForEachRun(mask, 0, mask.inside.size(),
             [&](std::size_t, std::size_t length) { voxels += length; });
  return voxels;
}

Box BoundingBoxOf(const Mask& mask) {
  Box box;
  const auto width = static_cast<std::size_t>(mask.grid.size[0]);
  for (int z = 0; z < mask.grid.size[2]; ++z) {
    for (int y = 0; y < mask.grid.size[1]; ++y) {
      const std::uint8_t* row = mask.inside.data() + mask.grid.Index(0, y, z);
      const auto* first = static_cast<const std::uint8_t*>(std::memchr(row, 1, width));
      if (first == nullptr) continue;
      std::size_t last = width - 1;
      while (row[last] == 0) --last;
      const std::array<int, 3> low = {static_cast<int>(first - row), y, z},
                               high = {static_cast<int>(last), y, z};
      for (std::size_t axis = 0; axis < 3; ++axis) {
        box.first[axis] = box.empty ? low[axis] : std::min(box.first[axis], low[axis]);
        box.last[axis] = box.empty ? high[axis] : std::max(box.last[axis], high[axis]);
      }
      box.empty = false;
    }
  }
  return box;
}

Box Padded(const Box& box, int pad, const Grid& grid) {
  Box padded = box;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    padded.first[axis] = std::max(box.first[axis] - pad, 0);
    padded.last[axis] = std::min(box.last[axis] + pad, grid.size[axis] - 1);
  }
  return padded;
}

namespace {

Grid GridOf(const Box& box, const Grid& whole, const Steps& step) {
  Grid part = whole;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    part.size[axis] = (box.last[axis] - box.first[axis]) / step[axis] + 1;
    part.spacing_mm[axis] *= step[axis];
  }
  return part;
}

template <typename Value>
std::vector<Value> ValuesIn(const Box& box, const Grid& whole, const Steps& step,
                            const std::vector<Value>& values) {
  const Grid part = GridOf(box, whole, step);
  std::vector<Value> inside;
  inside.reserve(part.voxel_count());
  for (int z = box.first[2]; z <= box.last[2]; z += step[2]) {
    for (int y = box.first[1]; y <= box.last[1]; y += step[1]) {
      const Value* row = &values[whole.Index(box.first[0], y, z)];
      if (step[0] == 1) {
        inside.insert(inside.end(), row, row + part.size[0]);
      } else {
        for (int i = 0; i < part.size[0]; ++i) inside.push_back(row[i * step[0]]);
      }
    }
  }
  return inside;
}

}  // namespace

Mask Cut(const Mask& mask, const Box& box, const Steps& step) {
  return {GridOf(box, mask.grid, step), ValuesIn(box, mask.grid, step, mask.inside)};
}

Image Cut(const Image& image, const Box& box, const Steps& step) {
  return image.values.Visit([&](const auto& values) {
    return Image{GridOf(box, image.grid, step), ValuesIn(box, image.grid, step, values),
                 image.numbers};
  });
}

}  // namespace consilium::engine
