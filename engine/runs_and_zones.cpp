#include "engine/runs_and_zones.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace consilium::engine {
namespace {

std::span<const std::uint32_t> VoxelsOf(const LevelBox& levels, int z) {
  return z < 0 ? levels.voxels() : levels.voxels(z);
}

SizeFeatures AggregateSizes(const std::vector<std::vector<SizeCounts>>& counts, Aggregation how) {
  return AggregateFeatures(counts, how, [](const SizeCounts& one) { return FeaturesOf(one); });
}

// Sets of voxels that belong together; each is named by its first voxel.
class Zones {
 public:
  explicit Zones(std::size_t count) : parent_(count) {}
  void Begin(std::uint32_t at) { parent_[at] = at; }
  [[nodiscard]] std::uint32_t First(std::uint32_t at) {
    while (parent_[at] != at) {
      parent_[at] = parent_[parent_[at]];
      at = parent_[at];
    }
    return at;
  }
  void Join(std::uint32_t a, std::uint32_t b) {
    a = First(a);
    b = First(b);
    if (a < b) {
      parent_[b] = a;
    } else {
      parent_[a] = b;
    }
  }

 private:
  std::vector<std::uint32_t> parent_;
};

}  // namespace

SizeCounts RunCounts(const LevelBox& levels, const Direction& direction, int z) {
  const auto& size = levels.size();
  const auto longest = static_cast<std::size_t>(std::max({size[0], size[1], size[2], 1}));
  const std::size_t row = longest + 1;
  std::vector<std::uint32_t> table((static_cast<std::size_t>(levels.level_count()) + 1) * row);
  const std::uint16_t* data = levels.data();
  const std::ptrdiff_t step = std::abs(levels.Step(direction));  // voxels come in memory's order
  const auto voxels = VoxelsOf(levels, z);
  // How many voxels of a run come up to here, this one included. No branches: levels are noise.
  std::vector<std::uint16_t> lengths(levels.padded_count());
  for (const std::uint32_t at : voxels) {
    const std::uint16_t level = data[at];
    const bool goes_on = data[at - step] == level;
    const auto length = static_cast<std::uint16_t>(
        1 + (goes_on ? lengths[static_cast<std::size_t>(at - step)] : 0));
    lengths[at] = length;
    table[level * row + length] += data[at + step] != level;
  }
  return {table, longest, voxels.size()};
}

std::vector<std::uint32_t> BorderDistances(const LevelBox& levels, const Mask& mask, int z) {
  // In the mask's own grid with a border, for the mask may be larger than the box.
  const std::array<int, 3> size = {mask.grid.size[0] + 2, mask.grid.size[1] + 2,
                                   mask.grid.size[2] + 2};
  const Grid padded{size, {1, 1, 1}};
  constexpr std::uint32_t kFar = std::numeric_limits<std::uint32_t>::max() / 2;
  std::vector<std::uint32_t> distance(padded.voxel_count(), 0);
  for (int k = 0; k < mask.grid.size[2]; ++k) {
    for (int j = 0; j < mask.grid.size[1]; ++j) {
      for (int i = 0; i < mask.grid.size[0]; ++i) {
        if (mask.inside[mask.grid.Index(i, j, k)] != 0)
          distance[padded.Index(i + 1, j + 1, k + 1)] = kFar;
      }
    }
  }
  const std::ptrdiff_t x = 1, y = size[0], slice = static_cast<std::ptrdiff_t>(size[0]) * size[1];
  const auto lower = [&](std::uint32_t* at, std::ptrdiff_t sign) {
    if (*at == 0) return;
    std::uint32_t least = std::min(at[-sign * x], at[-sign * y]);
    if (z < 0) least = std::min(least, at[-sign * slice]);
    *at = std::min(*at, least + 1);
  };
  // City-block distances: one sweep forward, one back.
  const std::ptrdiff_t first = slice + y + 1,
                       last = static_cast<std::ptrdiff_t>(distance.size()) - first;
  for (std::ptrdiff_t at = first; at < last; ++at)
    lower(&distance[static_cast<std::size_t>(at)], 1);
  for (std::ptrdiff_t at = last; at-- > first;) lower(&distance[static_cast<std::size_t>(at)], -1);

  std::vector<std::uint32_t> result;
  const auto& strides = levels.strides();
  const auto voxels = VoxelsOf(levels, z);
  result.reserve(voxels.size());
  for (const std::uint32_t at : voxels) {
    const auto k = static_cast<int>(at / strides[2]), rest = static_cast<int>(at % strides[2]);
    const auto j = static_cast<int>(rest / strides[1]), i = static_cast<int>(rest % strides[1]);
    const int shift = 1 - levels.border();
    result.push_back(
        distance[padded.Index(i + levels.origin()[0] + shift, j + levels.origin()[1] + shift,
                              k + levels.origin()[2] + shift)]);
  }
  return result;
}

ZoneCounts CountZones(const LevelBox& levels, int z,
                      const std::vector<std::uint32_t>& border_distances) {
  const std::uint16_t* data = levels.data();
  const auto voxels = VoxelsOf(levels, z);
  std::vector<std::ptrdiff_t> steps;  // to neighbours that come earlier in memory
  for (const Direction& direction : z < 0 ? Directions3d() : Directions2d())
    steps.push_back(levels.Step(direction));
  Zones zones(levels.padded_count());
  for (const std::uint32_t at : voxels) {
    zones.Begin(at);
    for (const std::ptrdiff_t step : steps) {
      if (data[at - step] == data[at]) zones.Join(at, static_cast<std::uint32_t>(at - step));
    }
  }
  struct Zone {
    std::uint32_t size = 0, distance = std::numeric_limits<std::uint32_t>::max();
  };
  std::vector<Zone> of(levels.padded_count());
  for (std::size_t v = 0; v < voxels.size(); ++v) {
    Zone& zone = of[zones.First(voxels[v])];
    ++zone.size;
    if (!border_distances.empty()) zone.distance = std::min(zone.distance, border_distances[v]);
  }
  std::vector<SizeCounts::Item> sizes, distances;
  for (const std::uint32_t at : voxels) {
    const Zone& zone = of[at];
    if (zone.size == 0) continue;
    sizes.push_back({data[at], zone.size});
    if (!border_distances.empty()) distances.push_back({data[at], zone.distance});
  }
  return {SizeCounts(std::move(sizes), voxels.size()),
          SizeCounts(std::move(distances), voxels.size())};
}

SizeCounts DependenceCounts(const LevelBox& levels, int distance, int alpha, int z) {
  const std::uint16_t* data = levels.data();
  const auto voxels = VoxelsOf(levels, z);
  const auto steps = NeighbourSteps(levels, distance, z >= 0);
  const std::size_t most = steps.size() + 1, row = most + 1;
  std::vector<std::uint32_t> table((static_cast<std::size_t>(levels.level_count()) + 1) * row);
  for (const std::uint32_t at : voxels) {
    const int level = data[at];
    std::size_t dependent = 1;
    for (const std::ptrdiff_t step : steps) {
      const int other = data[at + step];
      dependent += static_cast<std::size_t>(other != 0 && std::abs(level - other) <= alpha);
    }
    ++table[static_cast<std::size_t>(level) * row + dependent];
  }
  return {table, most, voxels.size()};
}

SizeFeatures Glrlm(const LevelBox& levels, Aggregation how) {
  return AggregateSizes(
      CountBySliceAndDirection<SizeCounts>(
          levels, how,
          [&](const Direction& direction, int z) { return RunCounts(levels, direction, z); }),
      how);
}

ZoneFeatures Glszm(const LevelBox& levels, const Mask& mask, Aggregation how) {
  std::vector<std::vector<SizeCounts>> sizes, distances;
  const auto zones = CountBySlice<ZoneCounts>(
      levels, how, [&](int z) { return CountZones(levels, z, BorderDistances(levels, mask, z)); });
  for (const auto& of_slice : zones) {
    sizes.push_back({of_slice[0].by_size});
    distances.push_back({of_slice[0].by_distance});
  }
  return {AggregateSizes(sizes, how), AggregateSizes(distances, how)};
}

SizeFeatures Ngldm(const LevelBox& levels, Aggregation how, int distance, int alpha) {
  return AggregateSizes(
      CountBySlice<SizeCounts>(levels, how,
                               [&](int z) { return DependenceCounts(levels, distance, alpha, z); }),
      how);
}

}  // namespace consilium::engine
