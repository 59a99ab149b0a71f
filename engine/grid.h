// Voxels in space: how many along each axis, and how far apart.
//
// x varies fastest in memory, then y, then z. Slices are planes of one z; "2D" features are taken
// slice by slice. Where an image lies in the patient is the reader's business: features do not
// depend on it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "engine/voxel_values.h"

namespace consilium::engine {

struct Grid {
  std::array<int, 3> size{};                  // voxels along x, y, z; each >= 0
  std::array<double, 3> spacing_mm{1, 1, 1};  // between centres; each > 0

  [[nodiscard]] std::size_t voxel_count() const {
    return static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]) *
           static_cast<std::size_t>(size[2]);
  }
  [[nodiscard]] std::size_t Index(int x, int y, int z) const {
    return (static_cast<std::size_t>(z) * static_cast<std::size_t>(size[1]) +
            static_cast<std::size_t>(y)) *
               static_cast<std::size_t>(size[0]) +
           static_cast<std::size_t>(x);
  }
  [[nodiscard]] double voxel_volume_mm3() const {
    return spacing_mm[0] * spacing_mm[1] * spacing_mm[2];
  }
  friend bool operator==(const Grid&, const Grid&) = default;
};

// The kind of number that an image's file holds. Of whole numbers: the least and the largest.
struct NumberKind {
  bool whole = false;
  double lowest = 0, highest = 0;
  bool single_precision = false;  // not whole, of 32 bits
};
template <typename Number>
[[nodiscard]] NumberKind KindOf() {
  using Limits = std::numeric_limits<Number>;
  NumberKind kind{Limits::is_integer};
  if (kind.whole) {
    kind.lowest = static_cast<double>(Limits::lowest());
    kind.highest = static_cast<double>(Limits::max());
  }
  kind.single_precision = std::is_same_v<Number, float>;
  return kind;
}

struct Image {
  Grid grid;
  VoxelValues values;  // [voxel_count]
  NumberKind numbers = {};
};

// A region of interest: which voxels belong to it.
struct Mask {
  Grid grid;
  std::vector<std::uint8_t> inside;  // [voxel_count], 0 or 1
};

// Calls visit(first, length) for the voxels inside that lie side by side, from `begin` to `end` - 1
// in memory.
template <typename Visit>
void ForEachRun(const Mask& mask, std::size_t begin, std::size_t end, const Visit& visit) {
  const std::uint8_t* inside = mask.inside.data();
  while (begin < end) {
    const void* first = std::memchr(inside + begin, 1, end - begin);
    if (first == nullptr) return;
    begin = static_cast<std::size_t>(static_cast<const std::uint8_t*>(first) - inside);
    const void* outside = std::memchr(first, 0, end - begin);
    const std::size_t after =
        outside == nullptr
            ? end
            : static_cast<std::size_t>(static_cast<const std::uint8_t*>(outside) - inside);
    visit(begin, after - begin);
    begin = after;
  }
}

// How many voxels are inside.
[[nodiscard]] std::size_t VoxelsIn(const Mask& mask);

// The smallest box that holds a region; `last` belongs to it.
struct Box {
  std::array<int, 3> first{}, last{};
  bool empty = true;
};
[[nodiscard]] Box BoundingBoxOf(const Mask& mask);
// `box` and `pad` >= 0 voxels more to each side, as far as `grid` reaches.
[[nodiscard]] Box Padded(const Box& box, int pad, const Grid& grid);
// The part of a mask or an image in `box` (not empty, within its grid): every step-th voxel (>= 1)
// along each axis, from the box's first on, so many times as far apart.
using Steps = std::array<int, 3>;
[[nodiscard]] Mask Cut(const Mask& mask, const Box& box, const Steps& step = {1, 1, 1});
[[nodiscard]] Image Cut(const Image& image, const Box& box, const Steps& step = {1, 1, 1});

}  // namespace consilium::engine
