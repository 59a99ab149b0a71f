#include "engine/local_intensity.h"

#include <algorithm>
#include <cmath>

namespace consilium::engine {
namespace {

constexpr double kRadiusMm = 6.203504908994;  // 10 (3 / (4 pi))^(1/3)

// A line of the sphere along x: `half` voxels to both sides of the centre's column.
struct Chord {
  int y, z, half;
};

std::vector<Chord> SphereOf(const std::array<double, 3>& spacing) {
  std::vector<Chord> chords;
  const auto reach = [&](std::size_t axis) { return static_cast<int>(kRadiusMm / spacing[axis]); };
  for (int z = -reach(2); z <= reach(2); ++z) {
    for (int y = -reach(1); y <= reach(1); ++y) {
      const double left =
          kRadiusMm * kRadiusMm - y * spacing[1] * y * spacing[1] - z * spacing[2] * z * spacing[2];
      if (left >= 0) chords.push_back({y, z, static_cast<int>(std::sqrt(left) / spacing[0])});
    }
  }
  return chords;
}

}  // namespace

LocalIntensityFeatures LocalIntensity(const Image& image, const Mask& mask) {
  LocalIntensityFeatures f;
  const auto& size = image.grid.size;
  const std::vector<Chord> chords = SphereOf(image.grid.spacing_mm);
  // Sums of each line up to every voxel, so that a chord costs two look-ups.
  const auto width = static_cast<std::size_t>(size[0]) + 1;
  std::vector<double> sums(width * static_cast<std::size_t>(size[1]) *
                           static_cast<std::size_t>(size[2]));
  for (std::size_t line = 0; line * width < sums.size(); ++line) {
    double* sum = &sums[line * width];
    for (std::size_t x = 0; x + 1 < width; ++x)
      sum[x + 1] = sum[x] + image.values[line * (width - 1) + x];
  }
  const auto mean_around = [&](int x, int y, int z) {
    double sum = 0;
    int count = 0;
    for (const Chord& chord : chords) {
      const int at_y = y + chord.y, at_z = z + chord.z;
      if (at_y < 0 || at_z < 0 || at_y >= size[1] || at_z >= size[2]) continue;
      const int from = std::max(0, x - chord.half), to = std::min(size[0], x + chord.half + 1);
      const double* line =
          &sums[(static_cast<std::size_t>(at_z) * static_cast<std::size_t>(size[1]) +
                 static_cast<std::size_t>(at_y)) *
                width];
      sum += line[to] - line[from];
      count += to - from;
    }
    return sum / count;
  };
  double brightest = 0;
  bool any = false;
  std::size_t at = 0;
  for (int z = 0; z < size[2]; ++z) {
    for (int y = 0; y < size[1]; ++y) {
      for (int x = 0; x < size[0]; ++x, ++at) {
        if (mask.inside[at] == 0) continue;
        const double mean = mean_around(x, y, z), value = image.values[at];
        f.global_peak = any ? std::max(f.global_peak, mean) : mean;
        if (!any || value > brightest) {
          brightest = value;
          f.local_peak = mean;
        } else if (value == brightest) {
          f.local_peak = std::max(f.local_peak, mean);
        }
        any = true;
      }
    }
  }
  return f;
}

}  // namespace consilium::engine
