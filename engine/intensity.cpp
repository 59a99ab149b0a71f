#include "engine/intensity.h"

#include <algorithm>
#include <cmath>

#include "engine/entropy.h"

namespace consilium::engine {
namespace {

// At rank (n - 1) q of `sorted`.
double Percentile(std::span<const double> sorted, double q) {
  const double rank = static_cast<double>(sorted.size() - 1) * q;
  const auto below = static_cast<std::size_t>(rank);
  if (below + 1 >= sorted.size()) return sorted.back();
  const double part = rank - static_cast<double>(below);
  return sorted[below] + part * (sorted[below + 1] - sorted[below]);
}

double MeanOf(std::span<const double> values) {
  double sum = 0;
  for (const double x : values) sum += x;
  return sum / static_cast<double>(values.size());
}

double MeanDistance(std::span<const double> values, double from) {
  double sum = 0;
  for (const double x : values) sum += std::abs(x - from);
  return sum / static_cast<double>(values.size());
}

}  // namespace

IntensityFeatures IntensityStatistics(std::span<const double> intensities) {
  IntensityFeatures f;
  if (intensities.empty()) return f;
  std::vector<double> sorted(intensities.begin(), intensities.end());
  std::sort(sorted.begin(), sorted.end());
  const auto n = static_cast<double>(sorted.size());
  const double mean = MeanOf(intensities);
  double second = 0, third = 0, fourth = 0, squares = 0;
  for (const double x : intensities) {
    const double d = x - mean, dd = d * d;
    second += dd;
    third += dd * d;
    fourth += dd * dd;
    squares += x * x;
  }
  second /= n;
  third /= n;
  fourth /= n;
  f.mean = mean;
  f.variance = second;
  f.skewness = second > 0 ? third / (second * std::sqrt(second)) : 0;
  f.kurtosis = second > 0 ? fourth / (second * second) - 3 : 0;
  f.median = Percentile(sorted, 0.5);
  f.minimum = sorted.front();
  f.maximum = sorted.back();
  f.percentile_10 = Percentile(sorted, 0.1);
  f.percentile_90 = Percentile(sorted, 0.9);
  const double p25 = Percentile(sorted, 0.25), p75 = Percentile(sorted, 0.75);
  f.interquartile_range = p75 - p25;
  f.range = f.maximum - f.minimum;
  f.mean_absolute_deviation = MeanDistance(intensities, mean);
  const auto from = std::lower_bound(sorted.begin(), sorted.end(), f.percentile_10);
  const auto to = std::upper_bound(sorted.begin(), sorted.end(), f.percentile_90);
  if (from < to) {
    const std::span<const double> middle(from, to);
    f.robust_mean_absolute_deviation = MeanDistance(middle, MeanOf(middle));
  }
  f.median_absolute_deviation = MeanDistance(intensities, f.median);
  f.coefficient_of_variation = mean != 0 ? std::sqrt(second) / mean : kUndefined;
  f.quartile_coefficient_of_dispersion = p75 + p25 != 0 ? (p75 - p25) / (p75 + p25) : kUndefined;
  f.energy = squares;
  f.root_mean_square = std::sqrt(squares / n);
  return f;
}

HistogramFeatures IntensityHistogram(const GreyLevels& levels) {
  HistogramFeatures f;
  if (levels.levels.empty()) return f;
  f.of_levels =
      IntensityStatistics(std::vector<double>(levels.levels.begin(), levels.levels.end()));
  const auto count = static_cast<std::size_t>(levels.count);
  std::vector<double> h(count);  // of level i + 1
  for (const std::uint16_t level : levels.levels) ++h[level - std::size_t{1}];
  const auto n = static_cast<double>(levels.levels.size());
  f.entropy = f.uniformity = 0;
  std::size_t mode = 0;
  const auto from_mean = [&](std::size_t i) {
    return std::abs(static_cast<double>(i + 1) - f.of_levels.mean);
  };
  for (std::size_t i = 0; i < count; ++i) {
    f.entropy += EntropyTerm(h[i] / n);
    f.uniformity += h[i] / n * (h[i] / n);
    if (h[i] > h[mode] || (h[i] == h[mode] && from_mean(i) < from_mean(mode))) mode = i;
  }
  f.mode = static_cast<double>(mode + 1);
  if (count < 2) return f;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t left = i == 0 ? 0 : i - 1, right = std::min(i + 1, count - 1);
    const double gradient = (h[right] - h[left]) / static_cast<double>(right - left);
    if (!(gradient <= f.maximum_gradient)) {
      f.maximum_gradient = gradient;
      f.maximum_gradient_level = static_cast<double>(i + 1);
    }
    if (!(gradient >= f.minimum_gradient)) {
      f.minimum_gradient = gradient;
      f.minimum_gradient_level = static_cast<double>(i + 1);
    }
  }
  return f;
}

VolumeHistogramFeatures IntensityVolumeHistogram(std::span<const std::uint16_t> levels,
                                                 int level_count, double first, double step) {
  VolumeHistogramFeatures f;
  if (levels.empty()) return f;
  const auto count = static_cast<std::size_t>(level_count);
  // Volume fraction of the voxels at level i + 1 or above.
  std::vector<double> volume(count + 1, 0);
  for (const std::uint16_t level : levels) ++volume[level - std::size_t{1}];
  for (std::size_t i = count; i-- > 0;) volume[i] += volume[i + 1];
  for (double& part : volume) part /= static_cast<double>(levels.size());
  const auto volume_at = [&](double part) {  // of the intensity range
    for (std::size_t i = 0; i < count; ++i) {
      const double here = count > 1 ? static_cast<double>(i) / static_cast<double>(count - 1) : 0;
      if (here >= part) return volume[i];
    }
    return 0.0;
  };
  const auto intensity_at = [&](double part) {  // of the volume
    std::size_t i = 0;
    while (i < count && volume[i] > part) ++i;
    // Where even the highest level holds more: the next level, which none has.
    return first + step * static_cast<double>(i);
  };
  f.volume_at_intensity_10 = volume_at(0.1);
  f.volume_at_intensity_90 = volume_at(0.9);
  f.intensity_at_volume_10 = intensity_at(0.1);
  f.intensity_at_volume_90 = intensity_at(0.9);
  f.volume_difference = f.volume_at_intensity_10 - f.volume_at_intensity_90;
  f.intensity_difference = f.intensity_at_volume_10 - f.intensity_at_volume_90;
  double area = 0;
  for (std::size_t i = 0; i + 1 < count; ++i)
    area += (volume[i] + volume[i + 1]) / 2 / static_cast<double>(count - 1);
  f.area_under_curve = area;
  return f;
}

}  // namespace consilium::engine
