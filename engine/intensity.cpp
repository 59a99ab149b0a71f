#include "engine/intensity.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "engine/entropy.h"

namespace consilium::engine {
namespace {

// A value and how many voxels have it.
struct Counted {
  double value;
  std::uint64_t count;
};

// Ascending: by digits of 11 bits, the lowest first, of integers in the order of the values. A
// digit that all share (numbers in single precision have many) costs nothing.
void SortByDigits(std::vector<double>& values) {
  constexpr std::size_t kBits = 11, kDigits = 6, kRadix = std::size_t{1} << kBits;
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  std::vector<std::uint64_t> keys(values.size()), moved(values.size());
  std::vector<std::uint32_t> counts(kDigits * kRadix);
  const auto digit = [](std::uint64_t key, std::size_t k) {
    return static_cast<std::size_t>(key >> (k * kBits)) & (kRadix - 1);
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto bits = std::bit_cast<std::uint64_t>(values[i]);
    keys[i] = (bits & kSign) != 0 ? ~bits : bits | kSign;
    for (std::size_t k = 0; k < kDigits; ++k) ++counts[k * kRadix + digit(keys[i], k)];
  }
  for (std::size_t k = 0; k < kDigits; ++k) {
    std::uint32_t* at = &counts[k * kRadix];
    if (at[digit(keys[0], k)] == keys.size()) continue;
    std::exclusive_scan(at, at + kRadix, at, std::uint32_t{0});
    for (const std::uint64_t key : keys) moved[at[digit(key, k)]++] = key;
    keys.swap(moved);
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::bit_cast<double>((keys[i] & kSign) != 0 ? keys[i] ^ kSign : ~keys[i]);
}

// Ascending, each value once.
std::vector<Counted> CountValues(std::span<const double> values) {
  std::vector<Counted> counted;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  constexpr double kTableMax = 65536;
  const double first = *low;
  const bool whole =
      *high - first < kTableMax && std::abs(first) < 1e9 &&
      std::all_of(values.begin(), values.end(), [](double x) { return x == std::floor(x); });
  if (whole) {
    std::vector<std::uint64_t> table(static_cast<std::size_t>(*high - first) + 1);
    for (const double x : values) ++table[static_cast<std::size_t>(x - first)];
    for (std::size_t i = 0; i < table.size(); ++i) {
      if (table[i] > 0) counted.push_back({first + static_cast<double>(i), table[i]});
    }
    return counted;
  }
  std::vector<double> sorted(values.begin(), values.end());
  constexpr std::size_t kFew = 1024;
  if (sorted.size() < kFew) {
    std::sort(sorted.begin(), sorted.end());
  } else {
    SortByDigits(sorted);
  }
  counted.reserve(sorted.size());
  for (const double x : sorted) {
    if (counted.empty() || counted.back().value != x) counted.push_back({x, 0});
    ++counted.back().count;
  }
  return counted;
}

// At rank (n - 1) q.
double Percentile(std::span<const Counted> values, std::uint64_t n, double q) {
  const double rank = static_cast<double>(n - 1) * q;
  const auto below = static_cast<std::uint64_t>(rank);
  std::size_t i = 0;
  std::uint64_t up_to = values[0].count;  // voxels of values[0 .. i]
  while (up_to <= below) up_to += values[++i].count;
  const double here = values[i].value;
  const bool next_is_higher = up_to == below + 1 && i + 1 < values.size();
  const double part = rank - static_cast<double>(below);
  return next_is_higher ? here + part * (values[i + 1].value - here) : here;
}

double MeanOf(std::span<const Counted> values) {
  double sum = 0, n = 0;
  for (const Counted& one : values) {
    sum += static_cast<double>(one.count) * one.value;
    n += static_cast<double>(one.count);
  }
  return sum / n;
}

double MeanDistance(std::span<const Counted> values, double from) {
  double sum = 0, n = 0;
  for (const Counted& one : values) {
    sum += static_cast<double>(one.count) * std::abs(one.value - from);
    n += static_cast<double>(one.count);
  }
  return sum / n;
}

IntensityFeatures StatisticsOf(std::span<const Counted> values) {
  IntensityFeatures f;
  std::uint64_t voxels = 0;
  for (const Counted& one : values) voxels += one.count;
  const auto n = static_cast<double>(voxels);
  const double mean = MeanOf(values);
  double second = 0, third = 0, fourth = 0, squares = 0;
  for (const Counted& one : values) {
    const double d = one.value - mean, dd = d * d, times = static_cast<double>(one.count);
    second += times * dd;
    third += times * dd * d;
    fourth += times * dd * dd;
    squares += times * one.value * one.value;
  }
  second /= n;
  third /= n;
  fourth /= n;
  f.mean = mean;
  f.variance = second;
  f.skewness = second > 0 ? third / (second * std::sqrt(second)) : 0;
  f.kurtosis = second > 0 ? fourth / (second * second) - 3 : 0;
  f.median = Percentile(values, voxels, 0.5);
  f.minimum = values.front().value;
  f.maximum = values.back().value;
  f.percentile_10 = Percentile(values, voxels, 0.1);
  f.percentile_90 = Percentile(values, voxels, 0.9);
  const double p25 = Percentile(values, voxels, 0.25), p75 = Percentile(values, voxels, 0.75);
  f.interquartile_range = p75 - p25;
  f.range = f.maximum - f.minimum;
  f.mean_absolute_deviation = MeanDistance(values, mean);
  const auto from = std::lower_bound(values.begin(), values.end(), f.percentile_10,
                                     [](const Counted& one, double x) { return one.value < x; });
  const auto to = std::upper_bound(values.begin(), values.end(), f.percentile_90,
                                   [](double x, const Counted& one) { return x < one.value; });
  if (from < to) {
    const std::span<const Counted> middle(from, to);
    f.robust_mean_absolute_deviation = MeanDistance(middle, MeanOf(middle));
  }
  f.median_absolute_deviation = MeanDistance(values, f.median);
  f.coefficient_of_variation = mean != 0 ? std::sqrt(second) / mean : kUndefined;
  f.quartile_coefficient_of_dispersion = p75 + p25 != 0 ? (p75 - p25) / (p75 + p25) : kUndefined;
  f.energy = squares;
  f.root_mean_square = std::sqrt(squares / n);
  return f;
}

}  // namespace

IntensityFeatures IntensityStatistics(std::span<const double> intensities) {
  if (intensities.empty()) return {};
  return StatisticsOf(CountValues(intensities));
}

HistogramFeatures IntensityHistogram(const GreyLevels& levels) {
  HistogramFeatures f;
  if (levels.levels.empty()) return f;
  const auto count = static_cast<std::size_t>(levels.count);
  std::vector<std::uint64_t> h(count);  // of level i + 1
  for (const std::uint16_t level : levels.levels) ++h[level - std::size_t{1}];
  std::vector<Counted> present;
  for (std::size_t i = 0; i < count; ++i) {
    if (h[i] > 0) present.push_back({static_cast<double>(i + 1), h[i]});
  }
  f.of_levels = StatisticsOf(present);
  const auto n = static_cast<double>(levels.levels.size());
  f.entropy = f.uniformity = 0;
  const Counted* mode = &present[0];
  for (const Counted& one : present) {
    const double p = static_cast<double>(one.count) / n;
    f.entropy += EntropyTerm(p);
    f.uniformity += p * p;
    const bool nearer =
        std::abs(one.value - f.of_levels.mean) < std::abs(mode->value - f.of_levels.mean);
    if (one.count > mode->count || (one.count == mode->count && nearer)) mode = &one;
  }
  f.mode = mode->value;
  if (count < 2) return f;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t left = i == 0 ? 0 : i - 1, right = std::min(i + 1, count - 1);
    const double gradient = (static_cast<double>(h[right]) - static_cast<double>(h[left])) /
                            static_cast<double>(right - left);
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
