#include "engine/runs_and_zones.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

#include "engine/vector_clones.h"

namespace consilium::engine {
namespace {

std::span<const std::uint32_t> VoxelsOf(const LevelBox& levels, int z) {
  return z < 0 ? levels.voxels() : levels.voxels(z);
}

SizeFeatures AggregateSizes(const std::vector<std::vector<SizeCounts>>& counts, Aggregation how) {
  return AggregateFeatures(counts, how, [](const SizeCounts& one) { return FeaturesOf(one); });
}

// Sets of voxels that belong together; each is named by its first voxel, which keeps its size and,
// if that is asked for, its least distance.
class Zones {
 public:
  Zones(std::size_t count, bool with_distance)
      : of_(std::make_unique_for_overwrite<std::uint32_t[]>(count)),
        distance_(with_distance ? std::make_unique_for_overwrite<std::uint32_t[]>(count)
                                : nullptr) {}

  // A voxel later than all others that begins a zone, or is of the zone that `first` begins.
  void Begin(std::uint32_t at, std::uint32_t distance) {
    of_[at] = kBegins + 1;
    if (distance_ != nullptr) distance_[at] = distance;
  }
  void Add(std::uint32_t at, std::uint32_t first, std::uint32_t distance) {
    of_[at] = first;
    ++of_[first];
    if (distance_ != nullptr) distance_[first] = std::min(distance_[first], distance);
  }
  // The first voxel of two zones that are one from now on, of their first voxels.
  [[nodiscard]] std::uint32_t Join(std::uint32_t a, std::uint32_t b) {
    if (a == b) return a;
    const std::uint32_t first = std::min(a, b), second = std::max(a, b);
    of_[first] += size(second);
    of_[second] = first;
    if (distance_ != nullptr) distance_[first] = std::min(distance_[first], distance_[second]);
    return first;
  }
  // The first voxel of a voxel's zone.
  [[nodiscard]] std::uint32_t First(std::uint32_t at) {
    while (!Begins(at)) {
      const std::uint32_t earlier = of_[at];
      if (Begins(earlier)) return earlier;
      of_[at] = of_[earlier];
      at = of_[at];
    }
    return at;
  }
  [[nodiscard]] bool Begins(std::uint32_t at) const { return of_[at] >= kBegins; }
  [[nodiscard]] std::uint32_t size(std::uint32_t first) const { return of_[first] - kBegins; }
  [[nodiscard]] std::uint32_t distance(std::uint32_t first) const { return distance_[first]; }

 private:
  static constexpr std::uint32_t kBegins = LevelBox::kPaddedMax;
  // Of a zone's first voxel its size + kBegins, of another an earlier voxel of the zone.
  std::unique_ptr<std::uint32_t[]> of_;
  std::unique_ptr<std::uint32_t[]> distance_;
};

// How many of its run come before each of `length` voxels, which are `step` or fewer; and whether
// it is the last of a run of two or more. `earlier`: `before` a step back.
CONSILIUM_VECTOR_CLONES("arch=x86-64-v4", "avx2")
void ExtendRuns(const std::uint16_t* levels, std::ptrdiff_t step, std::size_t length,
                const std::uint16_t* __restrict earlier, std::uint16_t* __restrict before,
                std::uint8_t* __restrict is_last) {
  const std::uint16_t *previous = levels - step, *next = levels + step;
  for (std::size_t i = 0; i < length; ++i) {
    const std::uint16_t level = levels[i];
    const auto goes_on = static_cast<std::uint16_t>(-static_cast<int>(previous[i] == level));
    const auto count = static_cast<std::uint16_t>((earlier[i] + 1) & goes_on);
    before[i] = count;
    is_last[i] = static_cast<std::uint8_t>((count != 0) & (level != 0) & (next[i] != level));
  }
}

// Calls visit(i) for each i with flags[i] = 1, else 0; kFlags zeros lie behind the last. By 64 in
// one word: which they are cannot be foretold, and a word of eight would be guessed wrong as often.
constexpr std::size_t kFlags = 64;
template <typename Visit>
void ForEachFlag(const std::vector<std::uint8_t>& flags, std::size_t length, const Visit& visit) {
  for (std::size_t i = 0; i < length; i += kFlags) {
    std::uint64_t word = 0;
    for (std::size_t k = 0; k < kFlags; k += 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, &flags[i + k], sizeof eight);
      word |= (eight * 0x0102040810204080U >> 56) << k;  // the bytes' lowest bits
    }
    for (; word != 0; word &= word - 1) visit(i + static_cast<std::size_t>(std::countr_zero(word)));
  }
}

// Neighbours of the region whose levels are at most `reach` away.
CONSILIUM_VECTOR_CLONES("arch=x86-64-v4", "avx2")
void CountDependent(const std::uint16_t* levels, std::span<const std::ptrdiff_t> steps,
                    std::size_t length, std::uint16_t reach, std::uint16_t* dependent) {
  if (reach == 0) {
    OverNeighbours<Levels>(
        levels, steps, length, dependent,
        [](const Levels& level, const Levels& other, Levels& count)
            __attribute__((always_inline)) { count += (level == other) & 1; });
    return;
  }
  OverNeighbours<Levels>(
      levels, steps, length, dependent,
      [reach](const Levels& level, const Levels& other, Levels& count)
          __attribute__((always_inline)) {
            for (std::size_t k = 0; k < kLevelsAtOnce; ++k) {
              const int apart = std::abs(level[k] - other[k]);
              count[k] =
                  static_cast<std::uint16_t>(count[k] + (other[k] != 0 && apart <= reach ? 1 : 0));
            }
          });
}

// Bit d: the neighbour at the step that is the d-th from the end, from 0 on, has the same level.
CONSILIUM_VECTOR_CLONES("arch=x86-64-v4", "avx2")
void MarkEqual(const std::uint16_t* levels, std::span<const std::ptrdiff_t> last_first,
               std::size_t length, std::uint16_t* equal) {
  OverNeighbours<Levels>(
      levels, last_first, length, equal,
      [](const Levels& level, const Levels& other, Levels& bits)
          __attribute__((always_inline)) { bits = bits * 2 + ((level == other) & 1); });
}

// [2^13] Of each set of neighbours that come before a voxel in memory (bit d: that against
// Directions3d()[d]), one of every group whose members touch: if they have the voxel's level, the
// others are of the same zones.
const std::vector<std::uint16_t>& OneOfEachGroup() {
  static const std::vector<std::uint16_t> kOnes = [] {
    const auto directions = Directions3d();
    std::array<unsigned, 13> touching{};
    for (std::size_t a = 0; a < directions.size(); ++a) {
      for (std::size_t b = 0; b < directions.size(); ++b) {
        const Direction &p = directions[a], &q = directions[b];
        if (std::abs(p.x - q.x) <= 1 && std::abs(p.y - q.y) <= 1 && std::abs(p.z - q.z) <= 1)
          touching[a] |= 1U << b;
      }
    }
    std::vector<std::uint16_t> ones(std::size_t{1} << directions.size());
    for (unsigned set = 0; set < ones.size(); ++set) {
      for (unsigned left = set; left != 0;) {
        const unsigned one = left & -left;
        ones[set] = static_cast<std::uint16_t>(ones[set] | one);
        unsigned group = one;
        for (unsigned added = one; added != 0;) {
          const auto next = static_cast<std::size_t>(std::countr_zero(added));
          added &= added - 1;
          const unsigned more = touching[next] & set & ~group;
          group |= more;
          added |= more;
        }
        left &= ~group;
      }
    }
    return ones;
  }();
  return kOnes;
}

}  // namespace

SizeCounts RunCounts(const LevelBox& levels, const Direction& direction, int z) {
  const auto& size = levels.size();
  const auto longest = static_cast<std::size_t>(std::max({size[0], size[1], size[2], 1}));
  const std::size_t row = longest + 1;
  const std::uint16_t* data = levels.data();
  const auto step = static_cast<std::size_t>(std::abs(levels.Step(direction)));
  // Read where a voxel a step back has the same level, and then it was written.
  const auto before = std::make_unique_for_overwrite<std::uint16_t[]>(levels.padded_count());
  std::vector<std::uint32_t> table((static_cast<std::size_t>(levels.level_count()) + 1) * row);
  const auto count = [&](std::size_t at) { ++table[data[at] * row + before[at] + 1U]; };
  std::vector<std::uint8_t> is_last;
  for (int slice = std::max(z, 0); slice < (z < 0 ? size[2] : z + 1); ++slice) {
    const auto voxels = levels.voxels(slice);
    if (voxels.empty()) continue;
    if (step == 1) {
      for (const std::uint32_t at : voxels) {
        before[at] = data[at - 1] == data[at] ? static_cast<std::uint16_t>(before[at - 1] + 1) : 0;
        if (before[at] != 0 && data[at + 1] != data[at]) count(at);
      }
      continue;
    }
    for (std::size_t at = voxels.front(), end = voxels.back() + 1U; at < end; at += step) {
      const std::size_t length = std::min(step, end - at);
      is_last.resize(length + kFlags);
      std::fill(is_last.end() - kFlags, is_last.end(), 0);
      ExtendRuns(data + at, static_cast<std::ptrdiff_t>(step), length, &before[at - step],
                 &before[at], is_last.data());
      ForEachFlag(is_last, length, [&](std::size_t i) { count(at + i); });
    }
  }
  // What is in no run of two or more is a run of its own.
  const std::vector<std::uint32_t> sizes = levels.level_sizes(z);
  for (std::size_t i = row; i < table.size(); i += row) {
    table[i + 1] = sizes[i / row];
    for (std::size_t l = 2; l <= longest; ++l)
      table[i + 1] -= static_cast<std::uint32_t>(l) * table[i + l];
  }
  return {table, longest, VoxelsOf(levels, z).size()};
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
  const auto directions = within_slices || z >= 0 ? Directions2d() : Directions3d();
  std::vector<std::ptrdiff_t> steps, last_first;  // back
  for (const Direction& direction : directions) steps.push_back(-levels.Step(direction));
  last_first.assign(steps.rbegin(), steps.rend());
  const std::vector<std::uint16_t>& one_of_each = OneOfEachGroup();
  const bool with_distance = !border_distances.empty();
  Zones zones(levels.padded_count(), with_distance);
  std::vector<std::uint16_t> equal;
  std::size_t v = 0;
  ForEachStretch(voxels, [&](std::size_t begin, std::size_t length, const auto& inside) {
    equal.resize(length);
    MarkEqual(data + begin, last_first, length, equal.data());
    for (const std::uint32_t at : inside) {
      const std::uint32_t distance = with_distance ? border_distances[v++] : 0;
      unsigned ones = one_of_each[equal[at - begin]];
      if (ones == 0) {
        zones.Begin(at, distance);
        continue;
      }
      const auto first_of_next = [&] {
        const auto d = static_cast<std::size_t>(std::countr_zero(ones));
        return zones.First(static_cast<std::uint32_t>(at + steps[d]));
      };
      std::uint32_t first = first_of_next();
      while ((ones &= ones - 1) != 0) first = zones.Join(first, first_of_next());
      zones.Add(at, first, distance);
    }
  });
  std::vector<SizeCounts::Item> sizes, distances;
  for (const std::uint32_t at : voxels) {
    if (!zones.Begins(at)) continue;
    sizes.push_back({data[at], zones.size(at)});
    if (with_distance) distances.push_back({data[at], zones.distance(at)});
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
  std::vector<std::uint16_t> dependent;
  const auto reach = static_cast<std::uint16_t>(std::min(alpha, kGreyLevelsMax));
  ForEachStretch(voxels, [&](std::size_t begin, std::size_t length, const auto& inside) {
    dependent.resize(length);
    CountDependent(data + begin, steps, length, reach, dependent.data());
    for (const std::uint32_t at : inside) ++table[data[at] * row + dependent[at - begin] + 1U];
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
