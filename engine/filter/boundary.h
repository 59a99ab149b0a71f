// How an image goes on beyond its border.
//
// Source: IBSI-2 reference manual (arXiv 2006.05470), "Boundary conditions".
#pragma once

#include <algorithm>

namespace consilium::engine {

enum class Boundary {
  kZero,      // 0 0 | a b c d | 0 0
  kNearest,   // a a | a b c d | d d
  kPeriodic,  // c d | a b c d | a b
  kMirror,    // b a | a b c d | d c
};

inline constexpr int kNoVoxel = -1;

// Which of the voxels 0 to size - 1 of a line stands at `at`; kNoVoxel for a zero.
[[nodiscard]] inline int VoxelAt(int at, int size, Boundary boundary) {
  if (at >= 0 && at < size) return at;
  const auto wrapped = [at](int period) { return (at % period + period) % period; };
  switch (boundary) {
    case Boundary::kZero:
      return kNoVoxel;
    case Boundary::kNearest:
      return std::clamp(at, 0, size - 1);
    case Boundary::kPeriodic:
      return wrapped(size);
    case Boundary::kMirror:
      break;
  }
  const int there_and_back = wrapped(2 * size);
  return std::min(there_and_back, 2 * size - 1 - there_and_back);
}

}  // namespace consilium::engine
