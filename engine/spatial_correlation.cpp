#include "engine/spatial_correlation.h"

#include <array>
#include <cmath>
#include <complex>
#include <vector>

#include "engine/fourier.h"

namespace consilium::engine {
namespace {

constexpr std::size_t kPairwiseVoxelsMax = 3000;

// Sums over all ordered pairs of voxels, weighted by 1 / distance; y centred intensities.
struct PairSums {
  double weights = 0;   // sum w_ij
  double products = 0;  // sum w_ij y_i y_j
  double squares = 0;   // sum w_ij y_i^2
};

struct Voxel {
  std::array<int, 3> at;
  double y;
};

PairSums Pairwise(const std::vector<Voxel>& voxels, const std::array<double, 3>& spacing) {
  PairSums sums;
  for (std::size_t i = 0; i < voxels.size(); ++i) {
    for (std::size_t j = i + 1; j < voxels.size(); ++j) {
      double distance = 0;
      for (std::size_t a = 0; a < 3; ++a) {
        const double d = spacing[a] * (voxels[i].at[a] - voxels[j].at[a]);
        distance += d * d;
      }
      const double w = 1 / std::sqrt(distance), u = voxels[i].y, v = voxels[j].y;
      sums.weights += 2 * w;
      sums.products += 2 * w * u * v;
      sums.squares += w * (u * u + v * v);
    }
  }
  return sums;
}

using Complex = std::complex<double>;

// By Parseval: sum_ij a_i k(i - j) b_j is the mean over frequencies of k^ conj(a^) b^.
PairSums ByTransform(const std::vector<Voxel>& voxels, const std::array<double, 3>& spacing) {
  std::array<int, 3> low = voxels.front().at, high = low, size{};
  for (const Voxel& voxel : voxels) {
    for (std::size_t a = 0; a < 3; ++a) {
      low[a] = std::min(low[a], voxel.at[a]);
      high[a] = std::max(high[a], voxel.at[a]);
    }
  }
  for (std::size_t a = 0; a < 3; ++a) size[a] = SmoothSize(2 * (high[a] - low[a]) + 1);
  const Grid grid{size, spacing};
  Spectrum kernel(grid.voxel_count()), both(grid.voxel_count()), squared(grid.voxel_count());
  std::size_t at = 0;
  for (int z = 0; z < size[2]; ++z) {
    for (int y = 0; y < size[1]; ++y) {
      for (int x = 0; x < size[0]; ++x, ++at) {
        if (at == 0) continue;
        const double dx = spacing[0] * std::min(x, size[0] - x),
                     dy = spacing[1] * std::min(y, size[1] - y),
                     dz = spacing[2] * std::min(z, size[2] - z);
        kernel[at] = 1 / std::sqrt(dx * dx + dy * dy + dz * dz);
      }
    }
  }
  for (const Voxel& voxel : voxels) {
    const std::size_t i =
        grid.Index(voxel.at[0] - low[0], voxel.at[1] - low[1], voxel.at[2] - low[2]);
    both[i] = {voxel.y, 1};
    squared[i] = voxel.y * voxel.y;
  }
  Transform(kernel, size, 3, Direction::kForward);
  Transform(both, size, 3, Direction::kForward);
  Transform(squared, size, 3, Direction::kForward);
  PairSums sums;
  const auto opposite = [](int i, int n) { return i == 0 ? 0 : n - i; };
  at = 0;
  for (int z = 0; z < size[2]; ++z) {
    for (int y = 0; y < size[1]; ++y) {
      for (int x = 0; x < size[0]; ++x, ++at) {
        // The transforms of y and of the mask, which went as one complex image.
        const Complex here = both[at],
                      there = std::conj(both[grid.Index(opposite(x, size[0]), opposite(y, size[1]),
                                                        opposite(z, size[2]))]);
        const Complex of_y = (here + there) / 2.0, of_mask = (here - there) / Complex(0, 2);
        const double k = kernel[at].real();  // an even function has a real transform
        sums.weights += k * std::norm(of_mask);
        sums.products += k * std::norm(of_y);
        sums.squares += k * (std::conj(squared[at]) * of_mask).real();
      }
    }
  }
  const auto count = static_cast<double>(grid.voxel_count());
  sums.weights /= count;
  sums.products /= count;
  sums.squares /= count;
  return sums;
}

}  // namespace

SpatialCorrelation SpatialCorrelationOf(const Image& image, const Mask& mask) {
  std::vector<Voxel> voxels;
  std::size_t at = 0;
  double mean = 0;
  for (int z = 0; z < mask.grid.size[2]; ++z) {
    for (int y = 0; y < mask.grid.size[1]; ++y) {
      for (int x = 0; x < mask.grid.size[0]; ++x, ++at) {
        if (mask.inside[at] == 0) continue;
        voxels.push_back({{x, y, z}, image.values[at]});
        mean += image.values[at];
      }
    }
  }
  SpatialCorrelation result;
  if (voxels.size() < 2) return result;
  const auto n = static_cast<double>(voxels.size());
  mean /= n;
  double spread = 0;
  for (Voxel& voxel : voxels) {
    voxel.y -= mean;
    spread += voxel.y * voxel.y;
  }
  if (spread == 0) return result;
  const PairSums sums = voxels.size() <= kPairwiseVoxelsMax
                            ? Pairwise(voxels, mask.grid.spacing_mm)
                            : ByTransform(voxels, mask.grid.spacing_mm);
  result.morans_i = n / sums.weights * sums.products / spread;
  // sum w_ij (y_i - y_j)^2 = 2 sum w_ij y_i^2 - 2 sum w_ij y_i y_j
  result.gearys_c = (n - 1) / sums.weights * (sums.squares - sums.products) / spread;
  return result;
}

}  // namespace consilium::engine
