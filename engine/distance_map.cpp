#include "engine/distance_map.h"

#include <cstddef>
#include <limits>

namespace consilium::engine {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

// The lower envelope of parabolas over one line, reused from line to line.
struct Envelope {
  std::vector<double> heights;    // of the line before
  std::vector<std::size_t> apex;  // of the parabolas that are lowest somewhere
  std::vector<double> from;       // where each begins to be, in voxels

  void Lower(double* line, std::size_t n, std::ptrdiff_t stride, double spacing) {
    const double square = spacing * spacing;
    const auto at = [&](std::size_t i) -> double& {
      return line[static_cast<std::ptrdiff_t>(i) * stride];
    };
    heights.resize(n);
    for (std::size_t i = 0; i < n; ++i) heights[i] = at(i);
    apex.clear();
    from.clear();
    for (std::size_t q = 0; q < n; ++q) {
      if (heights[q] == kFar) continue;
      double begin = -kFar;
      while (!apex.empty()) {
        const auto p = static_cast<double>(apex.back()), here = static_cast<double>(q);
        begin = (heights[q] - heights[apex.back()]) / (2 * square * (here - p)) + (here + p) / 2;
        if (begin > from.back()) break;
        apex.pop_back();
        from.pop_back();
        begin = -kFar;
      }
      apex.push_back(q);
      from.push_back(begin);
    }
    if (apex.empty()) return;
    std::size_t k = 0;
    for (std::size_t i = 0; i < n; ++i) {
      while (k + 1 < apex.size() && from[k + 1] <= static_cast<double>(i)) ++k;
      const double apart = static_cast<double>(i) - static_cast<double>(apex[k]);
      at(i) = heights[apex[k]] + square * apart * apart;
    }
  }
};

}  // namespace

std::vector<double> SquaredDistancesTo(const Mask& mask) {
  std::vector<double> distances(mask.inside.size(), kFar);
  for (std::size_t i = 0; i < distances.size(); ++i) {
    if (mask.inside[i] != 0) distances[i] = 0;
  }
  const auto& size = mask.grid.size;
  Envelope envelope;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::array<std::ptrdiff_t, 3> strides = {1, size[0],
                                                   static_cast<std::ptrdiff_t>(size[0]) * size[1]};
    const std::size_t u = axis == 0 ? 1 : 0, v = axis == 2 ? 1 : 2;
    for (int j = 0; j < size[v]; ++j) {
      for (int i = 0; i < size[u]; ++i) {
        envelope.Lower(distances.data() + i * strides[u] + j * strides[v],
                       static_cast<std::size_t>(size[axis]), strides[axis],
                       mask.grid.spacing_mm[axis]);
      }
    }
  }
  return distances;
}

}  // namespace consilium::engine
