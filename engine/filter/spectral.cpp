#include "engine/filter/spectral.h"

#include <cmath>
#include <complex>
#include <numbers>

#include "base/portable_math.h"
#include "engine/filter/bounds.h"
#include "engine/fourier.h"
#include "engine/trigonometry.h"

namespace consilium::engine {
namespace {

using Complex = std::complex<double>;
constexpr double kPi = std::numbers::pi;

// What is transformed: the whole image, or the whole slices that a box meets.
struct Volume {
  Box box;
  Grid grid;
  std::size_t axes = 3;
};

Volume VolumeAround(const Image& image, Dimensions dimensions, const Box& box) {
  const auto& size = image.grid.size;
  Volume volume{{{0, 0, 0}, {size[0] - 1, size[1] - 1, size[2] - 1}, false}, image.grid, 3};
  if (dimensions == Dimensions::k2d) {
    volume.box.first[2] = box.first[2];
    volume.box.last[2] = box.last[2];
    volume.grid = GridOf(RangesOf(volume.box), image.grid.spacing_mm);
    volume.axes = 2;
  }
  return volume;
}

// The image whose spectrum is that of the volume's values, from the `first` of `values` on, times
// `factor_at` (x, y, z of the frequency): its real part, in the box.
template <typename FactorAt>
Image Multiplied(const VoxelValues& values, std::size_t first, const Volume& volume, const Box& box,
                 const FactorAt& factor_at) {
  const Grid& grid = volume.grid;
  Spectrum spectrum(grid.voxel_count());
  for (std::size_t i = 0; i < spectrum.size(); ++i) spectrum[i] = values[first + i];
  Transform(spectrum, grid.size, volume.axes, Direction::kForward);
  std::size_t at = 0;
  for (int z = 0; z < grid.size[2]; ++z) {
    for (int y = 0; y < grid.size[1]; ++y) {
      for (int x = 0; x < grid.size[0]; ++x, ++at) spectrum[at] *= factor_at(x, y, z);
    }
  }
  Transform(spectrum, grid.size, volume.axes, Direction::kInverse);
  const Grid part = GridOf(RangesOf(box), grid.spacing_mm);
  std::vector<double> inside;
  inside.reserve(part.voxel_count());
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      for (int x = box.first[0]; x <= box.last[0]; ++x)
        inside.push_back(spectrum[grid.Index(x, y, z - volume.box.first[2])].real());
    }
  }
  return {part, std::move(inside)};
}
std::size_t FirstOf(const Image& image, const Volume& volume) {
  return image.grid.Index(0, 0, volume.box.first[2]);
}

// Frequencies along the axes that are transformed, 0 along the others; |w| <= pi.
using Frequencies = std::array<std::vector<double>, 3>;

template <typename FrequencyAt>
Frequencies FrequenciesOf(const Volume& volume, const FrequencyAt& frequency_at) {
  Frequencies w;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const int n = volume.grid.size[axis];
    for (int k = 0; k < n; ++k)
      w[axis].push_back(axis < volume.axes && n > 1 ? frequency_at(k, n) : 0);
  }
  return w;
}

// The references' grid: pi (i - (n - 1) / 2) / ((n - 1) / 2), its middle at the transform's first.
Frequencies SymmetricGrid(const Volume& volume) {
  return FrequenciesOf(volume, [](int k, int n) {
    const double half = (n - 1) / 2.0;
    return kPi * ((k + n / 2) % n - half) / half;
  });
}

// The transform's own: 2 pi k / n.
Frequencies TransformGrid(const Volume& volume) {
  return FrequenciesOf(volume,
                       [](int k, int n) { return 2 * kPi * (k < (n + 1) / 2 ? k : k - n) / n; });
}

// Simoncelli's radial profile on the frequencies of a grid.
class Simoncelli {
 public:
  Simoncelli(const Volume& volume, int level) : w_(SymmetricGrid(volume)) {
    for (auto& axis : w_) {
      for (double& w : axis) w *= 1 << (level - 1);
    }
  }
  double operator()(int x, int y, int z) const {
    const auto i = static_cast<std::size_t>(x), j = static_cast<std::size_t>(y),
               k = static_cast<std::size_t>(z);
    const double w = std::sqrt(w_[0][i] * w_[0][i] + w_[1][j] * w_[1][j] + w_[2][k] * w_[2][k]);
    if (w <= kPi / 4 || w > kPi) return 0;
    return SineCosineOf(kPi / 2 * Log(2 * w / kPi) * std::numbers::log2e).cosine;
  }

 private:
  Frequencies w_;
};

double PowerOf(double x, int n) {
  double power = 1;
  for (int i = 0; i < n; ++i) power *= x;
  return power;
}

class Riesz {
 public:
  Riesz(const Volume& volume, const std::array<int, 3>& order)
      : w_(TransformGrid(volume)), order_(order) {
    // l! / (l1! l2! l3!), as a product of l factors, each divided by one of those of the l_a.
    double ways = 1;
    for (const int of_axis : order) {
      for (int i = 1; i <= of_axis; ++i) ways *= static_cast<double>(++sum_) / i;
    }
    constexpr std::array<Complex, 4> kPowers = {Complex(1, 0), {0, -1}, {-1, 0}, {0, 1}};
    scale_ = std::sqrt(ways) * kPowers[static_cast<std::size_t>(sum_ % 4)];
  }
  Complex operator()(int x, int y, int z) const {
    const std::array<double, 3> w = {w_[0][static_cast<std::size_t>(x)],
                                     w_[1][static_cast<std::size_t>(y)],
                                     w_[2][static_cast<std::size_t>(z)]};
    const double length = std::sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]);
    if (length == 0) return 0;
    double product = 1;
    for (std::size_t axis = 0; axis < 3; ++axis) product *= PowerOf(w[axis] / length, order_[axis]);
    return scale_ * product;
  }

 private:
  Frequencies w_;
  std::array<int, 3> order_;
  int sum_ = 0;
  Complex scale_;
};

Result<void> CheckLevel(int level) {
  constexpr int kLevelMax = 16;
  return InBounds("level", level, 1, kLevelMax);
}

}  // namespace

Result<Image> SimoncelliResponse(const Image& image, const SimoncelliFilter& filter,
                                 const Box& box) {
  CONSILIUM_TRY(CheckLevel(filter.level));
  const Volume volume = VolumeAround(image, filter.dimensions, box);
  return Multiplied(image.values, FirstOf(image, volume), volume, box,
                    Simoncelli(volume, filter.level));
}

Result<Image> RieszResponse(const Image& image, const RieszFilter& filter, const Box& box) {
  const Dimensions dimensions = std::visit([](const auto& of) { return of.dimensions; }, filter.of);
  int sum = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const bool across = axis == 2 && dimensions == Dimensions::k2d;
    CONSILIUM_TRY(InBounds("order", filter.order[axis], 0, across ? 0 : kRieszOrderMax));
    sum += filter.order[axis];
  }
  CONSILIUM_TRY(InBounds("sum of the order", sum, 1, 3 * kRieszOrderMax));
  const Volume volume = VolumeAround(image, dimensions, box);
  const Riesz riesz(volume, filter.order);
  if (const auto* simoncelli = std::get_if<SimoncelliFilter>(&filter.of)) {
    CONSILIUM_TRY(CheckLevel(simoncelli->level));
    const Simoncelli band(volume, simoncelli->level);
    return Multiplied(image.values, FirstOf(image, volume), volume, box,
                      [&](int x, int y, int z) { return band(x, y, z) * riesz(x, y, z); });
  }
  const auto response = Filtered(image, std::get<LaplacianFilter>(filter.of), volume.box);
  CONSILIUM_TRY(response);
  return Multiplied(response->values, 0, volume, box, riesz);
}

}  // namespace consilium::engine
