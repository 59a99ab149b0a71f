// Regions of random voxels, for what must hold of every region.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "engine/grey_levels.h"
#include "engine/grid.h"

namespace consilium::engine {

struct Region {
  Image image;
  Mask mask;
  [[nodiscard]] std::vector<double> inside() const {
    std::vector<double> values;
    for (std::size_t i = 0; i < image.values.size(); ++i) {
      if (mask.inside[i] != 0) values.push_back(image.values[i]);
    }
    return values;
  }
};

// Voxels of levels 1 to 5, inside with probability `density`; none at the border of the grid.
inline Region RandomRegion(std::uint64_t seed, const std::array<int, 3>& size, double density,
                           const std::array<double, 3>& spacing_mm = {1, 1.5, 4}) {
  Rng rng(seed, "region");
  Region region;
  region.image.grid = region.mask.grid = {size, spacing_mm};
  for (int z = 0; z < size[2]; ++z) {
    for (int y = 0; y < size[1]; ++y) {
      for (int x = 0; x < size[0]; ++x) {
        const bool border =
            x == 0 || y == 0 || z == 0 || x == size[0] - 1 || y == size[1] - 1 || z == size[2] - 1;
        region.mask.inside.push_back(!border && rng.Chance(density) ? 1 : 0);
        region.image.values.Doubles().push_back(1 + static_cast<double>(rng.Below(5)));
      }
    }
  }
  return region;
}

// The same region with axis a of the result being axis order[a] of `region`.
inline Region Turned(const Region& region, const std::array<std::size_t, 3>& order) {
  Region turned;
  Grid grid;
  for (std::size_t a = 0; a < 3; ++a) {
    grid.size[a] = region.mask.grid.size[order[a]];
    grid.spacing_mm[a] = region.mask.grid.spacing_mm[order[a]];
  }
  turned.image.grid = turned.mask.grid = grid;
  for (int z = 0; z < grid.size[2]; ++z) {
    for (int y = 0; y < grid.size[1]; ++y) {
      for (int x = 0; x < grid.size[0]; ++x) {
        const std::array<int, 3> to = {x, y, z};
        std::array<int, 3> from{};
        for (std::size_t a = 0; a < 3; ++a) from[order[a]] = to[a];
        const std::size_t i = region.mask.grid.Index(from[0], from[1], from[2]);
        turned.mask.inside.push_back(region.mask.inside[i]);
        turned.image.values.Doubles().push_back(region.image.values[i]);
      }
    }
  }
  return turned;
}

inline GreyLevels LevelsAsTheyAre(const Region& region) {
  Discretisation how;
  how.method = Discretisation::Method::kNone;
  return *Discretise(region.inside(), how);
}

}  // namespace consilium::engine
