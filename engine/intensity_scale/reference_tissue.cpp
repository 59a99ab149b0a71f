#include "engine/intensity_scale/reference_tissue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "base/portable_math.h"
#include "engine/intensity_scale/spread.h"
#include "engine/quantile.h"

namespace consilium::engine {
namespace {

constexpr double kMadToSd = 1.4826022185056018;  // 1 / the normal distribution's upper quartile
constexpr double kIqrToSd = 1.3489795003921634;
constexpr double kBinsMax = 65536;

std::optional<Error> Unusable(std::span<const double> intensities, std::string_view what) {
  if (!std::all_of(intensities.begin(), intensities.end(),
                   [](double x) { return std::isfinite(x); })) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("an intensity of the {} is not a finite number; mask it out", what)};
  }
  if (intensities.size() < 2) {
    return Error{
        ErrorCode::kFailedPrecondition,
        fmt::format("the {} has {} voxels, expected two or more", what, intensities.size())};
  }
  return std::nullopt;
}

struct Histogram {
  double first, width;         // the first bin's centre
  std::vector<double> height;  // smoothed
  [[nodiscard]] double CentreOf(std::size_t bin) const {
    return first + width * static_cast<double>(bin);
  }
};

Histogram Smoothed(std::span<const double> ascending, double bandwidth) {
  const double range = ascending.back() - ascending.front();
  const double width = std::max(bandwidth / 4, range / kBinsMax);
  std::vector<double> counts(static_cast<std::size_t>(range / width) + 1);
  for (const double x : ascending)
    ++counts[static_cast<std::size_t>((x - ascending.front()) / width)];
  std::vector<double> kernel;  // one side
  for (double x = 0; x <= 4 * bandwidth; x += width)
    kernel.push_back(Exp(-x * x / (2 * bandwidth * bandwidth)));
  Histogram histogram{ascending.front() + width / 2, width, std::vector<double>(counts.size())};
  const auto n = static_cast<std::ptrdiff_t>(counts.size()),
             reach = static_cast<std::ptrdiff_t>(kernel.size()) - 1;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::ptrdiff_t j = std::max<std::ptrdiff_t>(0, i - reach); j <= std::min(n - 1, i + reach);
         ++j) {
      sum +=
          counts[static_cast<std::size_t>(j)] * kernel[static_cast<std::size_t>(std::abs(j - i))];
    }
    histogram.height[static_cast<std::size_t>(i)] = sum;
  }
  return histogram;
}

// The bin of the chosen mode.
std::size_t ModeOf(std::span<const double> height, const StripeRule& rule) {
  const auto highest =
      static_cast<std::size_t>(std::max_element(height.begin(), height.end()) - height.begin());
  if (rule.mode == StripeRule::Mode::kHighest) return highest;
  for (std::size_t i = height.size(); i-- > highest + 1;) {
    const bool peak =
        height[i] > height[i - 1] && (i + 1 == height.size() || height[i] >= height[i + 1]);
    if (peak && height[i] >= rule.height_min * height[highest]) return i;
  }
  return highest;
}

}  // namespace

Result<ReferenceTissue> ReferenceOf(std::span<const double> tissue, TissueCentre centre) {
  if (auto error = Unusable(tissue, "reference tissue")) return tl::unexpected<Error>(*error);
  if (centre == TissueCentre::kMean) {
    const MeanAndSd of = MeanAndSdOf(tissue);
    return ReferenceTissue{of.mean, of.sd, tissue.size()};
  }
  std::vector<double> values = Ascending({tissue.begin(), tissue.end()});
  const double median = QuantileOf(values, 0.5);
  for (double& value : values) value = std::abs(value - median);
  return ReferenceTissue{median, kMadToSd * QuantileOf(Ascending(std::move(values)), 0.5),
                         tissue.size()};
}

Result<Stripe> StripeOf(std::span<const double> foreground, const StripeRule& rule) {
  if (!(rule.tau > 0 && rule.tau <= 0.5) || !(rule.height_min >= 0 && rule.height_min <= 1)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("tau = {}, height_min = {}, must be in (0, 0.5] and [0, 1]", rule.tau,
                            rule.height_min));
  }
  if (auto error = Unusable(foreground, "foreground")) return tl::unexpected<Error>(*error);
  const std::vector<double> sorted = Ascending({foreground.begin(), foreground.end()});
  const double sd = MeanAndSdOf(sorted).sd;
  if (!(sd > 0)) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the {} intensities of the foreground are all equal; check the mask",
                            sorted.size()));
  }
  const auto n = static_cast<double>(sorted.size());
  const double iqr = (QuantileOf(sorted, 0.75) - QuantileOf(sorted, 0.25)) / kIqrToSd;
  const double bandwidth = 0.9 * (iqr > 0 ? std::min(sd, iqr) : sd) * Exp(-Log(n) / 5);
  const Histogram histogram = Smoothed(sorted, bandwidth);
  Stripe stripe;
  stripe.mode = histogram.CentreOf(ModeOf(histogram.height, rule));
  const double below = static_cast<double>(
      std::lower_bound(sorted.begin(), sorted.end(), stripe.mode) - sorted.begin());
  stripe.low = QuantileOf(sorted, std::max(below / n - rule.tau, 0.0));
  stripe.high = QuantileOf(sorted, std::min(below / n + rule.tau, 1.0));
  const auto first = std::lower_bound(sorted.begin(), sorted.end(), stripe.low),
             last = std::upper_bound(sorted.begin(), sorted.end(), stripe.high);
  const auto tissue = ReferenceOf(std::vector<double>(first, last));
  CONSILIUM_TRY(tissue);
  if (!(tissue->spread > 0)) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the stripe's {} intensities are all equal; take a larger tau",
                            tissue->voxels));
  }
  stripe.tissue = *tissue;
  return stripe;
}

Result<Image> ToReference(const Image& image, const ReferenceTissue& tissue, TissueScale scale) {
  const bool ratio = scale == TissueScale::kRatio;
  const double zero = ratio ? 0 : tissue.centre, unit = ratio ? tissue.centre : tissue.spread;
  if (!(unit > 0) || !std::isfinite(zero)) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the reference tissue's {} is {}, must be > 0 to divide by it",
                            ratio ? "centre" : "spread", unit));
  }
  std::vector<double> scaled;
  scaled.reserve(image.values.size());
  for (const double value : image.values) scaled.push_back((value - zero) / unit);
  return Image{image.grid, std::move(scaled)};
}

}  // namespace consilium::engine
