#include "engine/filter/wavelet.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

namespace consilium::engine {
namespace {

// The high filter is the low one backwards with alternating signs.
WaveletFilters Orthogonal(std::vector<double> low) {
  WaveletFilters filters{std::move(low), {}};
  const std::size_t taps = filters.low.size();
  for (std::size_t k = 0; k < taps; ++k)
    filters.high.push_back((k % 2 == 0 ? -1 : 1) * filters.low[taps - 1 - k]);
  return filters;
}

// `from` along one axis with `filter`, without its ends: F - 1 voxels fewer.
Image Filtered(const Image& from, std::size_t axis, const std::vector<double>& filter) {
  const std::size_t taps = filter.size();
  Image to;
  to.grid = from.grid;
  to.grid.size[axis] -= static_cast<int>(taps) - 1;
  to.values.assign(to.grid.voxel_count(), 0);
  const std::size_t step = axis == 0   ? 1
                           : axis == 1 ? from.grid.Index(0, 1, 0)
                                       : from.grid.Index(0, 0, 1);
  const auto width = static_cast<std::size_t>(to.grid.size[0]);
  for (int z = 0; z < to.grid.size[2]; ++z) {
    for (int y = 0; y < to.grid.size[1]; ++y) {
      double* put = &to.values[to.grid.Index(0, y, z)];
      const double* row = &from.values[from.grid.Index(0, y, z)];
      // The first tap meets the last voxel under the filter.
      for (std::size_t j = 0; j < taps; ++j) {
        const double tap = filter[j];
        const double* under = row + (taps - 1 - j) * step;
        for (std::size_t x = 0; x < width; ++x) put[x] += tap * under[x];
      }
    }
  }
  return to;
}

// The box with what the filter sees around it, of the image that goes on periodically.
Image Surroundings(const Image& image, const Box& box, int before, int behind) {
  std::array<std::vector<int>, 3> from;
  Image part;
  part.grid.spacing_mm = image.grid.spacing_mm;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const int size = image.grid.size[axis], period = size + size % 2;
    for (int i = box.first[axis] - before; i <= box.last[axis] + behind; ++i) {
      const int wrapped = (i % period + period) % period;
      from[axis].push_back(wrapped == size ? 0 : wrapped);
    }
    part.grid.size[axis] = static_cast<int>(from[axis].size());
  }
  part.values.reserve(part.grid.voxel_count());
  for (const int z : from[2]) {
    for (const int y : from[1]) {
      for (const int x : from[0]) part.values.push_back(image.values[image.grid.Index(x, y, z)]);
    }
  }
  return part;
}

}  // namespace

Result<WaveletFilters> WaveletNamed(std::string_view name) {
  const double root2 = std::sqrt(2.0), root3 = std::sqrt(3.0), root7 = std::sqrt(7.0);
  if (name == "haar" || name == "db1") return Orthogonal({1 / root2, 1 / root2});
  if (name == "db2" || name == "sym2") {
    const double unit = 4 * root2;
    return Orthogonal(
        {(1 - root3) / unit, (3 - root3) / unit, (3 + root3) / unit, (1 + root3) / unit});
  }
  if (name == "coif1") {
    const double unit = 16 * root2;
    return Orthogonal({(-3 + root7) / unit, (1 - root7) / unit, (14 - 2 * root7) / unit,
                       (14 + 2 * root7) / unit, (5 + root7) / unit, (1 - root7) / unit});
  }
  return Fail(
      ErrorCode::kNotFound,
      fmt::format("wavelet '{}' is not known here; known are haar, db1, db2, sym2, coif1", name));
}

std::vector<SubBand> StationaryWavelet(const Image& image, const WaveletFilters& filters,
                                       const Box& box) {
  const int taps = static_cast<int>(filters.low.size());
  std::vector<SubBand> bands;
  bands.push_back({"", Surroundings(image, box, taps - 1 - taps / 2, taps / 2)});
  for (std::size_t axis = 0; axis < 3; ++axis) {
    std::vector<SubBand> next;
    for (const SubBand& band : bands) {
      next.push_back({band.name + "L", Filtered(band.image, axis, filters.low)});
      next.push_back({band.name + "H", Filtered(band.image, axis, filters.high)});
    }
    bands = std::move(next);
  }
  return bands;
}

}  // namespace consilium::engine
