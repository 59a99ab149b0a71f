// Convolution with kernels that are products of one for each axis.
//
// A kernel's response at voxel o is sum_j t_j x_(o + centre - j). Along an axis several kernels may
// follow one another (a chain: the levels of a wavelet); the boundary rule holds anew before each.
// Of an image only what a box needs is touched: the box and the kernels' reach, where `Part` is
// what there is so far. A sum adds in the order of j; of a periodic line the taps that meet voxels
// behind its last one come first and backwards, as PyWavelets has it. So sums have the same bits
// whatever the box and the width of the machine's vectors, and those of PyWavelets.
#pragma once

#include <array>
#include <compare>
#include <utility>
#include <vector>

#include "engine/filter/boundary.h"
#include "engine/grid.h"

namespace consilium::engine {

struct Kernel {
  std::vector<double> taps;  // not empty
  int centre = 0;            // of 0 to the number of taps - 1
  friend auto operator<=>(const Kernel&, const Kernel&) = default;
};
// Backwards, about its centre.
[[nodiscard]] Kernel Flipped(const Kernel& kernel);

using Chain = std::vector<Kernel>;           // the first is applied first; may be empty
using Separable = std::array<Chain, 3>;      // along x, y, z
enum class Dimensions { k2d = 2, k3d = 3 };  // 2D: in the planes of one z

// The kernel turned by right angles: 24 times in space, 4 times in the plane. No reflections.
[[nodiscard]] std::vector<Separable> Turned(const Separable& kernel, Dimensions dimensions);

// Positions `first` to `last` along an axis.
struct Range {
  int first = 0, last = 0;
  [[nodiscard]] int length() const { return last - first + 1; }
};
using Ranges = std::array<Range, 3>;
[[nodiscard]] Ranges RangesOf(const Box& box);
[[nodiscard]] Grid GridOf(const Ranges& where, const std::array<double, 3>& spacing_mm);

// Some voxels of an image. Of a periodic one they may lie beyond its border, else within it.
// `Number` is float or double: what is convolved is taken in its precision.
template <typename Number>
struct PartIn {
  std::array<int, 3> whole{};  // voxels of the image along each axis
  Ranges where{};
  Grid grid;                   // of `where`
  std::vector<Number> values;  // [voxel_count]
};
using Part = PartIn<double>;
template <typename Number>
[[nodiscard]] Image ImageOf(PartIn<Number> part) {
  return {part.grid, std::move(part.values)};
}

// What a kernel sees of a line of `size` voxels to have a response in `out`.
[[nodiscard]] Range SeenBy(const Chain& chain, const Range& out, int size, Boundary boundary);
[[nodiscard]] Ranges SeenBy(const Separable& kernel, const Ranges& out,
                            const std::array<int, 3>& whole, Boundary boundary);

// Voxels `where` of an image; beyond its border, by the rule. `whole` is the image's size, or more
// along an axis that begins again behind its last voxel.
template <typename Number>
[[nodiscard]] PartIn<Number> Taken(const Image& image, const Ranges& where, Boundary boundary,
                                   const std::array<int, 3>& whole);

// The response of a chain along one axis in `out`. `from` holds what the chain sees.
template <typename Number>
[[nodiscard]] PartIn<Number> Convolved(const PartIn<Number>& from, std::size_t axis,
                                       const Chain& chain, Boundary boundary, const Range& out);

// The same of `where` of an image. Along x and y it is taken a plane at a time, and none is kept.
template <typename Number>
[[nodiscard]] PartIn<Number> Convolved(const Image& image, const Ranges& where,
                                       const std::array<int, 3>& whole, std::size_t axis,
                                       const Chain& chain, Boundary boundary, const Range& out);

enum class Pooling { kMean, kMax, kMin, kSum };

// Takes a response that stands for `times` of `count` into what is pooled so far, which is empty
// before the first.
void Pool(const std::vector<double>& response, Pooling pooling, std::size_t times,
          std::size_t count, std::vector<double>& pooled);

// The responses of all kernels (not none) in `out`, voxel by voxel pooled. What kernels have in
// common on the first axes is done once.
[[nodiscard]] Part Pooled(const Image& image, const std::vector<Separable>& kernels,
                          Pooling pooling, Boundary boundary, const Ranges& out);

}  // namespace consilium::engine
