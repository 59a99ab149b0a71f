// Boxes of images, for filters that look no farther than they must.
#pragma once

#include "engine/grid.h"

namespace consilium::engine {

inline Box Whole(const Grid& grid) {
  return {{0, 0, 0}, {grid.size[0] - 1, grid.size[1] - 1, grid.size[2] - 1}, false};
}

inline Image CutOut(const Image& image, const Box& box) {
  Image part;
  for (std::size_t axis = 0; axis < 3; ++axis)
    part.grid.size[axis] = box.last[axis] - box.first[axis] + 1;
  part.grid.spacing_mm = image.grid.spacing_mm;
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      for (int x = box.first[0]; x <= box.last[0]; ++x)
        part.values.Doubles().push_back(image.values[image.grid.Index(x, y, z)]);
    }
  }
  return part;
}

}  // namespace consilium::engine
