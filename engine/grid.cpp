#include "engine/grid.h"

#include <algorithm>

namespace consilium::engine {

Box BoundingBoxOf(const Mask& mask) {
  Box box;
  std::size_t i = 0;
  for (int z = 0; z < mask.grid.size[2]; ++z) {
    for (int y = 0; y < mask.grid.size[1]; ++y) {
      for (int x = 0; x < mask.grid.size[0]; ++x, ++i) {
        if (mask.inside[i] == 0) continue;
        const std::array<int, 3> at = {x, y, z};
        for (std::size_t a = 0; a < 3; ++a) {
          box.first[a] = box.empty ? at[a] : std::min(box.first[a], at[a]);
          box.last[a] = box.empty ? at[a] : std::max(box.last[a], at[a]);
        }
        box.empty = false;
      }
    }
  }
  return box;
}

}  // namespace consilium::engine
