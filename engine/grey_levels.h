// Grey levels of a region: intensities put into bins 1, 2, ..., which every texture is counted on.
//
// Notation: N_g levels, w bin width. Source: IBSI reference manual v11, "Intensity discretisation"
// (fixed bin size Q3RU, fixed bin number K15C); PyRadiomics' edges: imageoperations.getBinEdges.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

inline constexpr int kGreyLevelsMax = 65535;

struct Discretisation {
  enum class Method { kNone, kFixedBinSize, kFixedBinNumber };
  Method method = Method::kFixedBinSize;
  double bin_width = 25;  // kFixedBinSize; > 0
  int bin_count = 32;     // kFixedBinNumber; 1 to kGreyLevelsMax
  // kFixedBinSize: the lower edge of bin 1. None: the region's minimum (IBSI without a range to
  // resegment to).
  std::optional<double> lowest;
  // Edges as PyRadiomics has them, to the bit (numpy's arange and linspace). kFixedBinSize: at
  // multiples of the width from 0, bin 1 holds the region's minimum, and `lowest` is not read.
  // kFixedBinNumber: a flat region lies in the middle of a range of 1.
  bool pyradiomics_edges = false;
};

// The level of each of the region's intensities [n], and N_g: the highest level.
//   kNone            the intensity itself, rounded; must be >= 1
//   kFixedBinSize    floor((x - lowest) / w) + 1
//   kFixedBinNumber  floor(N (x - min) / (max - min)) + 1, the maximum in bin N; all 1 if flat
// Errors: kInvalidArgument (no voxel, a width or number out of bounds, an intensity that is not
// finite or below `lowest`), kOutOfRange (more than kGreyLevelsMax levels: says how wide bins must
// be).
struct GreyLevels {
  std::vector<std::uint16_t> levels;  // [n], 1 to count
  int count = 0;
};
[[nodiscard]] Result<GreyLevels> Discretise(std::span<const double> intensities,
                                            const Discretisation& how);

// An offset between voxels.
struct Direction {
  int x = 0, y = 0, z = 0;
};
// One of each pair of opposite offsets to the neighbours of a voxel: 13, or the 4 within a slice
// (z = 0, first).
[[nodiscard]] std::span<const Direction> Directions3d();
[[nodiscard]] std::span<const Direction> Directions2d();

// One of each pair of opposite offsets at a Chebyshev distance that is one of `distances` (each
// >= 1): that whose first coordinate in the order z, y, x that is not 0 is positive.
[[nodiscard]] std::vector<Direction> DirectionsAt(std::span<const int> distances, bool in_slice);

class LevelBox;
// Steps in a box's memory along directions (no farther than the box's border) and back.
[[nodiscard]] std::vector<std::ptrdiff_t> StepsBothWays(const LevelBox& levels,
                                                        std::span<const Direction> directions);
// Steps in a box's memory to every neighbour at Chebyshev distance <= `distance` (at most the box's
// border), of the same slice only or of the volume.
[[nodiscard]] std::vector<std::ptrdiff_t> NeighbourSteps(const LevelBox& levels, int distance,
                                                         bool in_slice);

// Work on a stretch of a box's memory at a time, short enough to stay in the fastest cache: where
// it begins, how long it is, and which of `voxels` (ascending) lie in it; stretches without any are
// left out.
template <typename Work>
void ForEachStretch(std::span<const std::uint32_t> voxels, const Work& work) {
  constexpr std::size_t kLength = 2048;
  for (std::size_t first = 0; first < voxels.size();) {
    const std::size_t begin = voxels[first];
    std::size_t last = first;
    while (last + 1 < voxels.size() && voxels[last + 1] < begin + kLength) ++last;
    work(begin, voxels[last] - begin + 1, voxels.subspan(first, last - first + 1));
    first = last + 1;
  }
}

// Levels side by side in a register; their comparisons are 0 or all bits. (Wider ones than the
// machine's would go through memory.)
inline constexpr std::size_t kLevelsAtOnce = 16;
typedef std::uint16_t Levels
    __attribute__((vector_size(kLevelsAtOnce * sizeof(std::uint16_t)), aligned(2)));

// put[i] = what add(level, neighbour's level, put[i]) makes of the neighbours at `steps`, one after
// another from 0 on, of `length` voxels from `levels` on: kLevelsAtOnce voxels at a time. Sums is
// such a vector too. To be called by a function that is compiled for wider vectors
// (engine/vector_clones.h).
template <typename Sums, typename Number, typename Add>
[[gnu::always_inline]] inline void OverNeighbours(const std::uint16_t* levels,
                                                  std::span<const std::ptrdiff_t> steps,
                                                  std::size_t length, Number* put, const Add& add) {
  static_assert(sizeof(Sums) == kLevelsAtOnce * sizeof(Number));
  for (std::size_t next = 0; next < length; next += kLevelsAtOnce) {
    // The last ones: some once more, or of fewer than there is room for, a part.
    const std::size_t count = std::min(kLevelsAtOnce, length), i = std::min(next, length - count);
    Sums sums{};
    for (const std::ptrdiff_t step : steps) {
      Levels here{}, there{};
      if (count == kLevelsAtOnce) {
        std::memcpy(&here, levels + i, sizeof here);
        std::memcpy(&there, levels + i + step, sizeof there);
      } else {
        std::memcpy(&here, levels + i, count * sizeof(std::uint16_t));
        std::memcpy(&there, levels + i + step, count * sizeof(std::uint16_t));
      }
      add(here, there, sums);
    }
    std::memcpy(put + i, &sums, count * sizeof(Number));
  }
}

// The levels of a region in its bounding box, with a border of zeros around it, so that whoever
// looks at neighbours never leaves the memory. 0: outside the region.
class LevelBox {
 public:
  // `levels` [n] of the voxels inside `mask`, in their order; `border` >= 1: the farthest
  // neighbour that will be looked at. Throws std::bad_alloc above kPaddedMax voxels with it.
  static constexpr std::uint32_t kPaddedMax = 1U << 31;
  LevelBox(const Mask& mask, const GreyLevels& levels, int border = 1);

  [[nodiscard]] int level_count() const { return level_count_; }
  [[nodiscard]] const std::array<int, 3>& size() const { return size_; }  // without the border
  // Where the box begins in the mask's grid.
  [[nodiscard]] const std::array<int, 3>& origin() const { return origin_; }
  [[nodiscard]] int border() const { return border_; }
  // Steps in memory along x, y, z.
  [[nodiscard]] const std::array<std::ptrdiff_t, 3>& strides() const { return strides_; }
  [[nodiscard]] std::ptrdiff_t Step(const Direction& by) const {
    return by.x * strides_[0] + by.y * strides_[1] + by.z * strides_[2];
  }
  [[nodiscard]] const std::uint16_t* data() const { return data_.data(); }
  [[nodiscard]] std::size_t padded_count() const { return data_.size(); }
  // Where the region's voxels are in data(), ascending; those of slice z alone.
  [[nodiscard]] std::span<const std::uint32_t> voxels() const { return voxels_; }
  [[nodiscard]] std::span<const std::uint32_t> voxels(int z) const;
  // [level_count + 1] How many voxels have each level, of slice z or of the volume (z < 0); [0] =
  // 0.
  [[nodiscard]] std::vector<std::uint32_t> level_sizes(int z) const;

 private:
  std::array<int, 3> size_{};
  std::array<std::ptrdiff_t, 3> strides_{};
  std::vector<std::uint16_t> data_;
  std::vector<std::uint32_t> voxels_;
  std::vector<std::size_t> slice_begin_;    // [slices + 1] in voxels_
  std::vector<std::uint32_t> level_sizes_;  // of the volume
  int level_count_ = 0;
  std::array<int, 3> origin_{};
  int border_ = 1;
};

}  // namespace consilium::engine
