#include "engine/filter/ibsi_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>
#include <utility>

#include "base/portable_math.h"
#include "engine/filter/bounds.h"
#include "engine/filter/gabor.h"
#include "engine/filter/spectral.h"
#include "engine/filter/wavelet.h"

namespace consilium::engine {
namespace {

std::size_t AxesOf(Dimensions dimensions) { return static_cast<std::size_t>(dimensions); }

Chain MeanOf(int support) {
  const auto taps = static_cast<std::size_t>(support);
  return {{std::vector<double>(taps, 1.0 / support), support / 2}};
}

Separable MeanKernel(int support, Dimensions dimensions) {
  Separable kernel;
  for (std::size_t axis = 0; axis < AxesOf(dimensions); ++axis) kernel[axis] = MeanOf(support);
  return kernel;
}

Result<Image> Respond(const Image& image, const MeanFilter& filter, const Box& box) {
  CONSILIUM_TRY(InBounds("support", filter.support, 1, 2 * kReachMax + 1));
  if (filter.support % 2 == 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("support = {}, must be odd", filter.support));
  }
  return ImageOf(Pooled(image, {MeanKernel(filter.support, filter.dimensions)}, Pooling::kSum,
                        filter.boundary, RangesOf(box)));
}

struct GaussianKernels {
  Kernel itself, second_derivative;
};

// sigma in voxels.
GaussianKernels GaussianOf(double sigma, int reach) {
  GaussianKernels g{{{}, reach}, {{}, reach}};
  const double square = sigma * sigma, height = 1 / (std::sqrt(2 * std::numbers::pi) * sigma);
  for (int k = -reach; k <= reach; ++k) {
    const double value = height * Exp(-k * k / (2 * square));
    g.itself.taps.push_back(value);
    g.second_derivative.taps.push_back(value * (k * k / square - 1) / square);
  }
  return g;
}

Result<Image> Respond(const Image& image, const LaplacianFilter& filter, const Box& box) {
  CONSILIUM_TRY(Positive("sigma_mm", filter.sigma_mm));
  CONSILIUM_TRY(Positive("cutoff_sigmas", filter.cutoff_sigmas));
  const auto& spacing = image.grid.spacing_mm;
  const std::size_t axes = AxesOf(filter.dimensions);
  std::vector<Separable> sum(axes);  // one term for each second derivative
  for (std::size_t axis = 0; axis < axes; ++axis) {
    const double sigma = filter.sigma_mm / spacing[axis];
    const auto reach = ReachOf(std::floor(filter.cutoff_sigmas * sigma + 0.5));
    CONSILIUM_TRY(reach);
    auto [gaussian, second] = GaussianOf(sigma, *reach);
    const double by_x = spacing[0] / spacing[axis];
    for (double& tap : second.taps) tap *= by_x * by_x;
    for (std::size_t term = 0; term < axes; ++term)
      sum[term][axis] = {term == axis ? second : gaussian};
  }
  return ImageOf(Pooled(image, sum, Pooling::kSum, filter.boundary, RangesOf(box)));
}

// Errors: kInvalidArgument (no such kernel).
Result<Kernel> LawsKernel(std::string_view name) {
  static const std::vector<std::pair<std::string_view, std::vector<double>>> kKernels = {
      {"L3", {1, 2, 1}},         {"E3", {-1, 0, 1}},        {"S3", {-1, 2, -1}},
      {"L5", {1, 4, 6, 4, 1}},   {"E5", {-1, -2, 0, 2, 1}}, {"S5", {-1, 0, 2, 0, -1}},
      {"W5", {-1, 2, 0, -2, 1}}, {"R5", {1, -4, 6, -4, 1}},
  };
  for (const auto& [known, taps] : kKernels) {
    if (known != name) continue;
    double norm = 0;
    for (const double tap : taps) norm += tap * tap;
    norm = std::sqrt(norm);
    Kernel kernel{taps, static_cast<int>(taps.size() / 2)};
    for (double& tap : kernel.taps) tap /= norm;
    return kernel;
  }
  return Fail(
      ErrorCode::kInvalidArgument,
      fmt::format("Laws kernel '{}' is not known; known are L3, E3, S3, L5, E5, S5, W5, R5", name));
}

// 2D or 3D by how many letters or names there are. Errors: kInvalidArgument (neither 2 nor 3).
Result<Dimensions> DimensionsOf(std::string_view setting, std::string_view value,
                                std::size_t letters_each) {
  for (const Dimensions dimensions : {Dimensions::k2d, Dimensions::k3d}) {
    if (value.size() == letters_each * AxesOf(dimensions)) return dimensions;
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} = '{}', must name two filters (2D) or three (3D), of {} letters each",
                          setting, value, letters_each));
}

std::vector<Separable> AllOf(const Separable& kernel, bool rotation_invariant,
                             Dimensions dimensions) {
  return rotation_invariant ? Turned(kernel, dimensions) : std::vector{kernel};
}

Result<Image> Respond(const Image& image, const LawsFilter& filter, const Box& box) {
  CONSILIUM_TRY(InBounds("energy_delta", filter.energy_delta, 0, kReachMax));
  const auto dimensions = DimensionsOf("kernels", filter.kernels, 2);
  CONSILIUM_TRY(dimensions);
  Separable kernel;
  for (std::size_t axis = 0; axis < AxesOf(*dimensions); ++axis) {
    const auto one = LawsKernel(std::string_view(filter.kernels).substr(2 * axis, 2));
    CONSILIUM_TRY(one);
    kernel[axis] = {*one};
  }
  const auto kernels = AllOf(kernel, filter.rotation_invariant, *dimensions);
  const Ranges out = RangesOf(box);
  if (filter.energy_delta == 0)
    return ImageOf(Pooled(image, kernels, filter.pooling, filter.boundary, out));
  const Separable mean = MeanKernel(2 * filter.energy_delta + 1, *dimensions);
  Part energy = Pooled(image, kernels, filter.pooling, filter.boundary,
                       SeenBy(mean, out, image.grid.size, filter.boundary));
  for (double& value : energy.values) value = std::abs(value);
  for (std::size_t axis = 0; axis < 3; ++axis)
    energy = Convolved(energy, axis, mean[axis], filter.boundary, out[axis]);
  return ImageOf(std::move(energy));
}

// The taps `apart` voxels from each other, zeros behind the last too.
Kernel Spread(const std::vector<double>& taps, int apart) {
  Kernel kernel{{}, static_cast<int>(taps.size()) * apart / 2};
  for (const double tap : taps) {
    kernel.taps.push_back(tap);
    kernel.taps.resize(kernel.taps.size() + static_cast<std::size_t>(apart) - 1);
  }
  return kernel;
}

constexpr int kLevelMax = 8;

Result<Image> Respond(const Image& image, const WaveletFilter& filter, const Box& box) {
  CONSILIUM_TRY(InBounds("level", filter.level, 1, kLevelMax));
  const auto dimensions = DimensionsOf("band", filter.band, 1);
  CONSILIUM_TRY(dimensions);
  const auto taps = WaveletNamed(filter.wavelet);
  CONSILIUM_TRY(taps);
  Separable kernel;
  for (std::size_t axis = 0; axis < AxesOf(*dimensions); ++axis) {
    const char letter = filter.band[axis];
    if (letter != 'L' && letter != 'H') {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("band = '{}', must be of letters L and H", filter.band));
    }
    for (int level = 1; level < filter.level; ++level)
      kernel[axis].push_back(Spread(taps->low, 1 << (level - 1)));
    kernel[axis].push_back(Spread(letter == 'L' ? taps->low : taps->high, 1 << (filter.level - 1)));
  }
  return ImageOf(Pooled(image, AllOf(kernel, filter.rotation_invariant, *dimensions),
                        filter.pooling, filter.boundary, RangesOf(box)));
}

Result<Image> Respond(const Image& image, const GaborFilter& filter, const Box& box) {
  return GaborResponse(image, filter, box);
}
Result<Image> Respond(const Image& image, const SimoncelliFilter& filter, const Box& box) {
  return SimoncelliResponse(image, filter, box);
}
Result<Image> Respond(const Image& image, const RieszFilter& filter, const Box& box) {
  return RieszResponse(image, filter, box);
}

}  // namespace

Sampling SamplingOf(const IbsiFilter& filter, const Box& box) {
  Sampling sampling{box};
  const auto* wavelet = std::get_if<WaveletFilter>(&filter);
  if (wavelet == nullptr || !wavelet->decimated) return sampling;
  if (wavelet->level < 1 || wavelet->level > kLevelMax) return sampling;  // Respond refuses it
  const int step = 1 << wavelet->level;
  for (std::size_t axis = 0; axis < std::min<std::size_t>(wavelet->band.size(), 3); ++axis) {
    sampling.step[axis] = step;
    sampling.box.first[axis] = (box.first[axis] + step - 1) / step * step;
    sampling.box.last[axis] = box.last[axis] / step * step;
    sampling.box.empty = sampling.box.empty || sampling.box.first[axis] > sampling.box.last[axis];
  }
  return sampling;
}

Result<Image> Filtered(const Image& image, const IbsiFilter& filter, const Box& box) {
  const Sampling sampling = SamplingOf(filter, box);
  if (sampling.box.empty) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a decimated wavelet of this level keeps voxels whose places are "
                            "multiples of {}, and the region's box has none; take a lower level",
                            sampling.step[0]));
  }
  auto response =
      std::visit([&](const auto& one) { return Respond(image, one, sampling.box); }, filter);
  if (!response || sampling.step == Steps{1, 1, 1}) return response;
  Box all;
  for (std::size_t axis = 0; axis < 3; ++axis) all.last[axis] = response->grid.size[axis] - 1;
  return Cut(*response, all, sampling.step);
}

}  // namespace consilium::engine
