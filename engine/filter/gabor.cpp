#include "engine/filter/gabor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/portable_math.h"
#include "engine/filter/bounds.h"
#include "engine/fourier.h"
#include "engine/trigonometry.h"

namespace consilium::engine {
namespace {

constexpr double kReachSigmas = 6;  // beyond, less than 1e-8 of the kernel
constexpr int kDirectionsMax = 360;
constexpr std::size_t kKernelPixelsMax = std::size_t{1} << 26U;  // 1 GiB of all directions' spectra

// In degrees, those that differ by half a turn once. Errors: kInvalidArgument.
Result<std::vector<double>> DirectionsOf(const GaborFilter& filter) {
  if (!std::isfinite(filter.theta_deg)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("theta_deg = {}, must be a number", filter.theta_deg));
  }
  if (filter.theta_step_deg == 0) return std::vector{filter.theta_deg};
  const double steps = std::floor(360 / filter.theta_step_deg + 0.5);
  if (!(steps >= 1 && steps <= kDirectionsMax) ||
      std::abs(steps * filter.theta_step_deg - 360) > 1e-9) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("theta_step_deg = {}, must be 0 or a part of 360 that is not below 1",
                            filter.theta_step_deg));
  }
  auto count = static_cast<int>(steps);
  if (count % 2 == 0) count /= 2;
  std::vector<double> directions;
  for (int i = 0; i < count; ++i)
    directions.push_back(filter.theta_deg + i * filter.theta_step_deg);
  return directions;
}

// A plane's two axes, then the one across it; slices of it go through the transform.
struct Slices {
  std::array<std::size_t, 3> axis{};
  std::array<int, 2> reach{};  // of the kernel, in voxels
  std::array<int, 3> size{};   // of what is transformed; one slice
  [[nodiscard]] std::size_t Index(int u, int v) const {
    return static_cast<std::size_t>(v) * static_cast<std::size_t>(size[0]) +
           static_cast<std::size_t>(u);
  }
};

Result<Slices> SlicesOf(const Image& image, const GaborFilter& filter,
                        const std::array<int, 2>& plane, std::size_t directions, const Box& box) {
  const auto [u, v] = plane;
  if (u < 0 || v < 0 || u > 2 || v > 2 || u == v) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("plane ({}, {}), must be two different axes of 0, 1, 2", u, v));
  }
  Slices slices;
  slices.axis = {static_cast<std::size_t>(u), static_cast<std::size_t>(v),
                 static_cast<std::size_t>(3 - u - v)};
  slices.size[2] = 1;
  const double widest_mm = filter.sigma_mm / std::min(1.0, filter.gamma);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::size_t axis = slices.axis[i];
    const auto reach = ReachOf(std::ceil(kReachSigmas * widest_mm / image.grid.spacing_mm[axis]));
    CONSILIUM_TRY(reach);
    slices.reach[i] = *reach;
    slices.size[i] = SmoothSize(box.last[axis] - box.first[axis] + 1 + 2 * *reach);
  }
  if (directions * slices.Index(0, slices.size[1]) > kKernelPixelsMax) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} directions of {} x {} pixels are more than {} in all: take fewer "
                            "directions or a smaller sigma",
                            directions, slices.size[0], slices.size[1], kKernelPixelsMax));
  }
  return slices;
}

// The spectrum of the kernel, whose centre is at the first voxel.
Spectrum KernelSpectrum(const GaborFilter& filter, double theta_deg, const Slices& slices,
                        const std::array<double, 3>& spacing_mm) {
  Spectrum kernel(slices.Index(0, slices.size[1]));
  const auto [sine, cosine] = SineCosineOf(theta_deg / 180 * std::numbers::pi);
  for (int v = -slices.reach[1]; v <= slices.reach[1]; ++v) {
    for (int u = -slices.reach[0]; u <= slices.reach[0]; ++u) {
      const double x = u * spacing_mm[slices.axis[0]], y = v * spacing_mm[slices.axis[1]];
      const double a = cosine * x + sine * y, b = filter.gamma * (cosine * y - sine * x);
      const double height = Exp(-(a * a + b * b) / (2 * filter.sigma_mm * filter.sigma_mm));
      const double waves = a / filter.wavelength_mm;
      const auto phase = SineCosineOf(2 * std::numbers::pi * (waves - std::floor(waves)));
      kernel[slices.Index(u < 0 ? u + slices.size[0] : u, v < 0 ? v + slices.size[1] : v)] = {
          height * phase.cosine, height * phase.sine};
    }
  }
  Transform(kernel, slices.size, 2, Direction::kForward);
  return kernel;
}

// Adds to `sum` [the box's voxels] the pooled responses in a plane's slices, times `weight`.
void AddResponses(const Image& image, const GaborFilter& filter, const Box& box,
                  const Slices& slices, const std::vector<Spectrum>& kernels, double weight,
                  std::vector<double>& sum) {
  const auto [u_axis, v_axis, w_axis] = slices.axis;
  const Grid grid = GridOf(RangesOf(box), image.grid.spacing_mm);
  const std::array<std::size_t, 3> stride = {1, grid.Index(0, 1, 0), grid.Index(0, 0, 1)};
  const int width = grid.size[u_axis], height = grid.size[v_axis];
  Ranges seen = RangesOf(box);
  for (std::size_t i = 0; i < 2; ++i) {
    seen[slices.axis[i]].first -= slices.reach[i];
    seen[slices.axis[i]].last += slices.reach[i];
  }
  const std::size_t pixels = kernels.front().size();
  Spectrum slice(pixels), response(pixels);
  std::vector<double> pooled;
  for (int w = box.first[w_axis]; w <= box.last[w_axis]; ++w) {
    seen[w_axis] = {w, w};
    const Part part = Taken<double>(image, seen, filter.boundary, image.grid.size);
    std::array<int, 3> at{};
    std::fill(slice.begin(), slice.end(), 0);
    for (at[v_axis] = 0; at[v_axis] < seen[v_axis].length(); ++at[v_axis]) {
      for (at[u_axis] = 0; at[u_axis] < seen[u_axis].length(); ++at[u_axis]) {
        slice[slices.Index(at[u_axis], at[v_axis])] =
            part.values[part.grid.Index(at[0], at[1], at[2])];
      }
    }
    Transform(slice, slices.size, 2, Direction::kForward);
    pooled.clear();
    for (const Spectrum& kernel : kernels) {
      for (std::size_t i = 0; i < pixels; ++i) response[i] = slice[i] * kernel[i];
      Transform(response, slices.size, 2, Direction::kInverse);
      std::vector<double> moduli;
      for (int v = 0; v < height; ++v) {
        for (int u = 0; u < width; ++u) {
          const auto& value = response[slices.Index(u + slices.reach[0], v + slices.reach[1])];
          moduli.push_back(std::sqrt(value.real() * value.real() + value.imag() * value.imag()));
        }
      }
      Pool(moduli, filter.pooling, 1, kernels.size(), pooled);
    }
    const double* value = pooled.data();
    double* put = &sum[static_cast<std::size_t>(w - box.first[w_axis]) * stride[w_axis]];
    for (std::size_t v = 0; v < static_cast<std::size_t>(height); ++v) {
      for (std::size_t u = 0; u < static_cast<std::size_t>(width); ++u)
        put[u * stride[u_axis] + v * stride[v_axis]] += weight * *value++;
    }
  }
}

}  // namespace

Result<Image> GaborResponse(const Image& image, const GaborFilter& filter, const Box& box) {
  CONSILIUM_TRY(Positive("sigma_mm", filter.sigma_mm));
  CONSILIUM_TRY(Positive("wavelength_mm", filter.wavelength_mm));
  CONSILIUM_TRY(Positive("gamma", filter.gamma));
  CONSILIUM_TRY(InBounds("number of planes", static_cast<int>(filter.planes.size()), 1, 3));
  const auto directions = DirectionsOf(filter);
  CONSILIUM_TRY(directions);
  const Grid grid = GridOf(RangesOf(box), image.grid.spacing_mm);
  std::vector<double> sum(grid.voxel_count());
  for (const auto& plane : filter.planes) {
    const auto slices = SlicesOf(image, filter, plane, directions->size(), box);
    CONSILIUM_TRY(slices);
    std::vector<Spectrum> kernels;
    for (const double theta : *directions)
      kernels.push_back(KernelSpectrum(filter, theta, *slices, image.grid.spacing_mm));
    AddResponses(image, filter, box, *slices, kernels,
                 1 / static_cast<double>(filter.planes.size()), sum);
  }
  return Image{grid, std::move(sum)};
}

}  // namespace consilium::engine
