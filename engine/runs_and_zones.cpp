#include "engine/runs_and_zones.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "engine/vector_clones.h"

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
  // The first voxel of both together; `a` is the first of its zone.
  [[nodiscard]] std::uint32_t Join(std::uint32_t a, std::uint32_t b) {
    b = First(b);
    if (a < b) {
      parent_[b] = a;
      return a;
    }
    parent_[a] = b;
    return b;
  }

 private:
  std::vector<std::uint32_t> parent_;
};

// Adds 1 where the voxel at `step` is of the region and its level at most `reach` away.
CONSILIUM_VECTOR_CLONES("avx2")
void AddDependent(const std::uint16_t* levels, std::ptrdiff_t step, std::size_t length,
                  std::uint16_t reach, std::uint32_t* __restrict dependent) {
  const std::uint16_t* others = levels + step;
  for (std::size_t i = 0; i < length; ++i) {
    const std::uint32_t level = levels[i], other = others[i];
    const std::uint32_t apart = level > other ? level - other : other - level;
    dependent[i] +=
        static_cast<std::uint32_t>(other != 0) & static_cast<std::uint32_t>(apart <= reach);
  }
}

// Where to look for a voxel's zone among the neighbours that come before it in memory. What
// touches an equal neighbour needs no look of its own: if it is equal too, it is of that zone.
struct Look {
  std::ptrdiff_t step = 0;           // to a neighbour; 0: no neighbour that was looked at is equal
  std::vector<std::ptrdiff_t> rest;  // if it is equal: what does not touch it, and nothing else
};
std::vector<Look> LooksOf(const LevelBox& levels, bool in_slice) {
  const auto directions = in_slice ? Directions2d() : Directions3d();
  const auto touch = [](const Direction& a, const Direction& b) {
    return std::abs(a.x - b.x) <= 1 && std::abs(a.y - b.y) <= 1 && std::abs(a.z - b.z) <= 1;
  };
  const auto same = [](const Direction& a, const Direction& b) {
    return a.x == b.x && a.y == b.y && a.z == b.z;
  };
  std::vector<Direction> tried;
  std::vector<Look> looks;
  const auto add = [&](std::ptrdiff_t step, const Direction* equal) {
    Look look{step, {}};
    for (const Direction& other : directions) {
      const bool unequal = std::any_of(tried.begin(), tried.end(),
                                       [&](const Direction& one) { return same(one, other); });
      if (!unequal && (equal == nullptr || !touch(*equal, other)))
        look.rest.push_back(levels.Step(other));
    }
    looks.push_back(std::move(look));
  };
  // Those that touch the most others first.
  for (const Direction& one : {Direction{0, 0, 1}, Direction{0, 1, 0}, Direction{1, 0, 0}}) {
    if (in_slice && one.z != 0) continue;
    add(levels.Step(one), &one);
    tried.push_back(one);
  }
  add(0, nullptr);
  return looks;
}

}  // namespace

SizeCounts RunCounts(const LevelBox& levels, const Direction& direction, int z) {
  const auto& size = levels.size();
  const auto longest = static_cast<std::size_t>(std::max({size[0], size[1], size[2], 1}));
  const std::size_t row = longest + 1;
  std::vector<std::uint32_t> table((static_cast<std::size_t>(levels.level_count()) + 1) * row);
  const std::uint16_t* data = levels.data();
  const std::ptrdiff_t step = std::abs(levels.Step(direction));  // voxels come in memory's order
  const auto voxels = VoxelsOf(levels, z);
  // Voxels that go on a run, gathered without branches: levels are noise.
  std::vector<std::uint32_t> going_on(voxels.size() + 1);
  std::size_t count = 0;
  for (const std::uint32_t at : voxels) {
    going_on[count] = at;
    count += data[at - step] == data[at];
  }
  // table(i, l): voxels of level i that are the l-th of their run. Every run of more than l voxels
  // has one that is the l-th and one that follows it.
  for (const std::uint32_t at : voxels) ++table[data[at] * row + 1];
  std::vector<std::uint16_t> before(levels.padded_count());  // in the run, before this voxel
  for (std::size_t k = 0; k < count; ++k) {
    const std::uint32_t at = going_on[k];
    const auto length = static_cast<std::uint16_t>(before[at - static_cast<std::size_t>(step)] + 1);
    before[at] = length;
    --table[data[at] * row + 1];
    ++table[data[at] * row + length + 1];
  }
  for (std::size_t i = 1; i * row < table.size(); ++i) {
    for (std::size_t l = 1; l < longest; ++l) table[i * row + l] -= table[i * row + l + 1];
  }
  return {table, longest, voxels.size()};
}

bool HasTwoInLine(const LevelBox& levels, const Direction& direction) {
  const auto& size = levels.size();
  const auto& strides = levels.strides();
  const int border = levels.border();
  for (const std::uint32_t at : levels.voxels()) {
    int z = static_cast<int>(at / strides[2]) - border;
    const auto rest = static_cast<int>(at % strides[2]);
    int y = static_cast<int>(rest / strides[1]) - border;
    int x = static_cast<int>(rest % strides[1]) - border;
    const std::uint16_t* here = levels.data() + at;
    const auto go_on = [&] {
      x += direction.x;
      y += direction.y;
      z += direction.z;
      here += levels.Step(direction);
      return x >= 0 && x < size[0] && y >= 0 && y < size[1] && z >= 0 && z < size[2];
    };
    while (go_on()) {
      if (*here != 0) return true;
    }
  }
  return false;
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
                      const std::vector<std::uint32_t>& border_distances, bool within_slices) {
  const std::uint16_t* data = levels.data();
  const auto voxels = VoxelsOf(levels, z);
  const std::vector<Look> looks = LooksOf(levels, within_slices || z >= 0);
  Zones zones(levels.padded_count());
  for (const std::uint32_t at : voxels) {
    zones.Begin(at);
    std::uint32_t first = at;
    const auto join_if_equal = [&](std::ptrdiff_t step) {
      if (data[at - step] != data[at]) return false;
      first = zones.Join(first, static_cast<std::uint32_t>(at - step));
      return true;
    };
    for (const Look& look : looks) {
      if (look.step != 0 && !join_if_equal(look.step)) continue;
      for (const std::ptrdiff_t step : look.rest) join_if_equal(step);
      break;
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

SizeCounts DependenceCounts(const LevelBox& levels, std::span<const std::ptrdiff_t> steps,
                            int alpha, int z) {
  const std::uint16_t* data = levels.data();
  const auto voxels = VoxelsOf(levels, z);
  const std::size_t most = steps.size() + 1, row = most + 1;
  std::vector<std::uint32_t> table((static_cast<std::size_t>(levels.level_count()) + 1) * row);
  std::vector<std::uint32_t> dependent;
  const auto reach = static_cast<std::uint16_t>(std::min(alpha, kGreyLevelsMax));
  ForEachStretch(voxels, [&](std::size_t begin, std::size_t length, const auto& inside) {
    dependent.assign(length, 1);
    for (const std::ptrdiff_t step : steps)
      AddDependent(data + begin, step, length, reach, dependent.data());
    for (const std::uint32_t at : inside) ++table[data[at] * row + dependent[at - begin]];
  });
  return {table, most, voxels.size()};
}

SizeFeatures Glrlm(const LevelBox& levels, Aggregation how) {
  return AggregateSizes(
      CountBySliceAndDirection<SizeCounts>(
          levels, how,
          [&](const Direction& direction, int z) { return RunCounts(levels, direction, z); }),
      how);
}

ZoneFeatures ZonesOf(const LevelBox& levels, const Mask& mask, Aggregation how) {
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
  return AggregateSizes(CountBySlice<SizeCounts>(levels, how,
                                                 [&](int z) {
                                                   const auto steps =
                                                       NeighbourSteps(levels, distance, z >= 0);
                                                   return DependenceCounts(levels, steps, alpha, z);
                                                 }),
                        how);
}

}  // namespace consilium::engine
