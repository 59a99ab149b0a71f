#include "engine/perturb/noise.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/filter/wavelet.h"

namespace consilium::engine {
namespace {

constexpr double kUpperQuartile = 0.6744897501960817;  // of the standard normal distribution
constexpr int kSlabSlices = 8;  // filtered at once, for all sub-bands come together

}  // namespace

Result<double> NoiseLevel(const Image& image, const Mask& mask) {
  const Box box = BoundingBoxOf(mask);
  std::string diagonal;  // letters of the sub-band
  double gain = 1;       // of the low filters, on an axis of one voxel
  for (const int size : image.grid.size) {
    diagonal += size > 1 ? 'H' : 'L';
    if (size == 1) gain *= std::sqrt(2.0);
  }
  if (image.grid != mask.grid || box.empty || diagonal == "LLL") {
    return Fail(ErrorCode::kInvalidArgument,
                "image and mask must lie on one grid of more than a voxel, and the mask hold one");
  }
  const auto filters = WaveletNamed("coif1");
  CONSILIUM_TRY(filters);
  std::vector<double> sizes;
  for (int z = box.first[2]; z <= box.last[2]; z += kSlabSlices) {
    Box slab = box;
    slab.first[2] = z;
    slab.last[2] = std::min(z + kSlabSlices - 1, box.last[2]);
    const Mask inside = Cut(mask, slab);
    for (const SubBand& band : StationaryWavelet(image, *filters, slab)) {
      if (band.name != diagonal) continue;
      for (std::size_t i = 0; i < inside.inside.size(); ++i) {
        if (inside.inside[i] != 0) sizes.push_back(std::abs(band.image.values[i]));
      }
    }
  }
  if (!std::all_of(sizes.begin(), sizes.end(), [](double x) { return std::isfinite(x); })) {
    return Fail(ErrorCode::kInvalidArgument,
                "an intensity in or near the mask is not a finite number; repair the image");
  }
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end());
  return *middle / kUpperQuartile / gain;
}

Image WithNoise(const Image& image, double sd, Rng& rng) {
  std::vector<double> noisy;
  noisy.reserve(image.values.size());
  for (const double value : image.values) noisy.push_back(value + sd * rng.Normal());
  return {image.grid, std::move(noisy)};
}

}  // namespace consilium::engine
