#include "engine/intensity_scale/landmarks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/intensity_scale/spread.h"
#include "engine/quantile.h"

namespace consilium::engine {
namespace {

// An image's intensity and where it goes.
struct Knot {
  double from, to;
};

bool Ascends(std::span<const double> values, bool strictly) {
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    if (!(strictly ? values[i] < values[i + 1] : values[i] <= values[i + 1])) return false;
  }
  return values.size() > 1;
}

Result<std::vector<double>> Measure(std::span<const double> foreground,
                                    std::span<const double> percentiles) {
  if (!Ascends(percentiles, true) || percentiles.front() < 0 || percentiles.back() > 100) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("percentiles [{}], must be two or more that ascend, in [0, 100]",
                            fmt::join(percentiles, ", ")));
  }
  if (!std::all_of(foreground.begin(), foreground.end(),
                   [](double x) { return std::isfinite(x); })) {
    return Fail(ErrorCode::kInvalidArgument,
                "an intensity of the foreground is not a finite number; mask it out");
  }
  std::vector<double> landmarks;
  if (!foreground.empty()) {
    const std::vector<double> sorted = Ascending({foreground.begin(), foreground.end()});
    for (const double percentile : percentiles)
      landmarks.push_back(QuantileOf(sorted, percentile / 100));
  }
  if (landmarks.empty() || !(landmarks.front() < landmarks.back())) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the {} intensities of the foreground have no spread between "
                            "percentiles {} and {}; check the mask",
                            foreground.size(), percentiles.front(), percentiles.back()));
  }
  return landmarks;
}

}  // namespace

Result<LandmarkSums> LandmarksOf(std::span<const double> foreground, const LandmarkRule& rule) {
  if (!(rule.low < rule.high) || !std::isfinite(rule.high - rule.low)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("standard scale [{}, {}], must ascend", rule.low, rule.high));
  }
  const auto landmarks = Measure(foreground, rule.percentiles);
  CONSILIUM_TRY(landmarks);
  LandmarkSums sums{rule, 1, {}};
  const double first = landmarks->front(), spread = landmarks->back() - first;
  for (const double landmark : *landmarks)
    sums.landmarks.push_back(rule.low + (landmark - first) / spread * (rule.high - rule.low));
  return sums;
}

Result<LandmarkSums> Together(const LandmarkSums& a, const LandmarkSums& b) {
  if (a.rule.percentiles != b.rule.percentiles || a.rule.low != b.rule.low ||
      a.rule.high != b.rule.high) {
    return Fail(ErrorCode::kInvalidArgument,
                "landmarks of other percentiles or another scale do not add up; agree on one rule");
  }
  LandmarkSums sums = a;
  sums.images += b.images;
  for (std::size_t i = 0; i < sums.landmarks.size(); ++i) sums.landmarks[i] += b.landmarks[i];
  return sums;
}

Result<LandmarkTemplate> TemplateOf(const LandmarkSums& sums) {
  if (sums.images < 1)
    return Fail(ErrorCode::kFailedPrecondition, "no image has given landmarks for a template");
  LandmarkTemplate standard{sums.rule.percentiles, sums.landmarks};
  for (double& landmark : standard.landmarks) landmark /= static_cast<double>(sums.images);
  return standard;
}

Result<Image> ToTemplate(const Image& image, std::span<const double> foreground,
                         const LandmarkTemplate& standard) {
  if (standard.landmarks.size() != standard.percentiles.size() ||
      !Ascends(standard.landmarks, false) ||
      !(standard.landmarks.front() < standard.landmarks.back())) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a template of {} percentiles has landmarks [{}], must be as many and "
                            "ascend",
                            standard.percentiles.size(), fmt::join(standard.landmarks, ", ")));
  }
  const auto landmarks = Measure(foreground, standard.percentiles);
  CONSILIUM_TRY(landmarks);
  std::vector<Knot> knots;
  for (std::size_t i = 0; i < landmarks->size();) {
    Knot knot{(*landmarks)[i], 0};
    double equal = 0;
    for (; i < landmarks->size() && (*landmarks)[i] == knot.from; ++i, ++equal)
      knot.to += standard.landmarks[i];
    knot.to /= equal;
    knots.push_back(knot);
  }
  std::vector<double> mapped;
  mapped.reserve(image.values.size());
  for (const double value : image.values) {
    // The piece that ends at the first inner knot above, the last piece beyond all of them.
    const auto end = std::upper_bound(knots.begin() + 1, knots.end() - 1, value,
                                      [](double x, const Knot& knot) { return x < knot.from; });
    const Knot& a = *(end - 1);
    mapped.push_back(a.to + (value - a.from) * (end->to - a.to) / (end->from - a.from));
  }
  return Image{image.grid, std::move(mapped)};
}

std::vector<double> AboveMean(const Image& image) {
  const double mean = MeanAndSdOf(image.values.AsDoubles()).mean;
  std::vector<double> above;
  for (const double value : image.values) {
    if (value > mean) above.push_back(value);
  }
  return above;
}

}  // namespace consilium::engine
