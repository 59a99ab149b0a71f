#include "engine/intensity.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "engine/entropy.h"
#include "engine/vector_clones.h"

namespace consilium::engine {
namespace {

// Values, in any order, and how many voxels have each; empty: one.
struct Counted {
  std::span<const double> values, counts;
};
struct CountTable {
  std::vector<double> values, counts;
};

// Sums are made in eight lanes, so that their order is the same whatever the machine.
constexpr std::size_t kLanes = 8;
struct Sum {
  double lanes[kLanes] = {};
  [[nodiscard]] double Total() const {
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  }
};

// Calls work(lane, value, count) for all, eight lanes side by side.
template <typename Work>
[[gnu::always_inline]] inline void ForEachLane(const Counted& of, const Work& work) {
  const double *values = of.values.data(), *counts = of.counts.data();
  const std::size_t size = of.values.size();
  std::size_t i = 0;
  if (of.counts.empty()) {
    for (; i + kLanes <= size; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) work(lane, values[i + lane], 1);
    }
    for (; i < size; ++i) work(i % kLanes, values[i], 1);
  }
  for (; i + kLanes <= size; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      work(lane, values[i + lane], counts[i + lane]);
  }
  for (; i < size; ++i) work(i % kLanes, values[i], counts[i]);
}

// Of the voxels from `low` to `high`: how many, and the sum of their values.
struct Within {
  double voxels = 0, sum = 0;
};
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
Within SumWithin(const Counted& of, double low, double high) {
  Sum voxels, sum;
  ForEachLane(of, [&](std::size_t lane, double x, double n) {
    const double inside = x >= low && x <= high ? n : 0;
    voxels.lanes[lane] += inside;
    sum.lanes[lane] += inside * x;
  });
  return {voxels.Total(), sum.Total()};
}
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
double SumOfDistances(const Counted& of, double from, double low, double high) {
  Sum sum;
  ForEachLane(of, [&](std::size_t lane, double x, double n) {
    sum.lanes[lane] += (x >= low && x <= high ? n : 0) * std::abs(x - from);
  });
  return sum.Total();
}

// Sums of powers of the distance from the mean, and of squares.
struct Powers {
  double second = 0, third = 0, fourth = 0, squares = 0;
};
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
Powers SumPowers(const Counted& of, double mean) {
  Sum second, third, fourth, squares;
  ForEachLane(of, [&](std::size_t lane, double x, double n) {
    const double d = x - mean, dd = d * d;
    second.lanes[lane] += n * dd;
    third.lanes[lane] += n * dd * d;
    fourth.lanes[lane] += n * dd * dd;
    squares.lanes[lane] += n * x * x;
  });
  return {second.Total(), third.Total(), fourth.Total(), squares.Total()};
}

// Each value once, where there are few: whole numbers, or a single one. Else nothing.
CountTable TableOf(std::span<const double> values, const IntensityRange& range) {
  constexpr double kTableMax = 65536;
  const double first = range.low;
  if (range.high == first) return {{first}, {static_cast<double>(values.size())}};
  const bool whole =
      range.high - first < kTableMax && std::abs(first) < 1e9 &&
      std::all_of(values.begin(), values.end(), [](double x) { return x == std::floor(x); });
  if (!whole) return {};
  std::vector<std::uint32_t> counts(static_cast<std::size_t>(range.high - first) + 1);
  for (const double x : values) ++counts[static_cast<std::size_t>(x - first)];
  CountTable table;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    table.values.push_back(first + static_cast<double>(i));
    table.counts.push_back(counts[i]);
  }
  return table;
}

constexpr std::size_t kBins = 4096;
// Of equal width, and which bin each value is in.
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
void PutIntoBins(const Counted& of, double low, double per_unit, std::int32_t* __restrict bins) {
  const double* values = of.values.data();
  for (std::size_t i = 0; i < of.values.size(); ++i)
    bins[i] = static_cast<std::int32_t>((values[i] - low) * per_unit);
}

// The values at ranks (n - 1) q, between two neighbours in proportion, for each of `q`. Bins tell
// near which values they are, and these alone are sorted.
template <std::size_t kCount>
std::array<double, kCount> Percentiles(const Counted& of, double n, const IntensityRange& range,
                                       const std::array<double, kCount>& q) {
  const double width = range.high - range.low;
  const double per_unit =
      width > 0 && std::isfinite(width) ? static_cast<double>(kBins - 1) / width : 0;
  const auto count_of = [&](std::size_t i) { return of.counts.empty() ? 1 : of.counts[i]; };
  std::vector<std::int32_t> bins(of.values.size());
  if (std::isfinite(per_unit)) PutIntoBins(of, range.low, per_unit, bins.data());
  std::vector<double> below(kBins + 1);  // voxels of lower bins
  for (std::size_t i = 0; i < bins.size(); ++i)
    below[static_cast<std::size_t>(bins[i]) + 1] += count_of(i);
  std::partial_sum(below.begin(), below.end(), below.begin());
  std::vector<std::uint8_t> wanted(kBins);
  for (const double part : q) {
    const double rank = std::floor((n - 1) * part);
    for (const double one : {rank, std::min(rank + 1, n - 1)})
      wanted[static_cast<std::size_t>(std::upper_bound(below.begin(), below.end(), one) -
                                      below.begin()) -
             1] = 1;
  }
  struct Near {
    double value, count;
    std::int32_t bin;
    double up_to = 0;  // voxels of this value and of lower ones
  };
  std::vector<Near> near;
  for (std::size_t i = 0; i < bins.size(); ++i) {
    if (wanted[static_cast<std::size_t>(bins[i])] != 0)
      near.push_back({of.values[i], count_of(i), bins[i]});
  }
  std::sort(near.begin(), near.end(),
            [](const Near& a, const Near& b) { return a.value < b.value; });
  for (std::size_t k = 0; k < near.size(); ++k) {
    const bool first_of_bin = k == 0 || near[k - 1].bin != near[k].bin;
    near[k].up_to = near[k].count + (first_of_bin ? below[static_cast<std::size_t>(near[k].bin)]
                                                  : near[k - 1].up_to);
  }
  const auto at_rank = [&](double rank) {
    return std::partition_point(near.begin(), near.end(),
                                [&](const Near& one) { return one.up_to <= rank; })
        ->value;
  };
  std::array<double, kCount> values{};
  for (std::size_t k = 0; k < kCount; ++k) {
    const double rank = (n - 1) * q[k], whole = std::floor(rank), here = at_rank(whole),
                 next = at_rank(std::min(whole + 1, n - 1));
    values[k] = next > here ? here + (rank - whole) * (next - here) : here;
  }
  return values;
}

IntensityFeatures StatisticsOf(const Counted& values, const IntensityRange& range) {
  IntensityFeatures f;
  const auto [n, sum] = SumWithin(values, range.low, range.high);
  const double mean = std::clamp(sum / n, range.low, range.high);
  const Powers powers = SumPowers(values, mean);
  const double second = powers.second / n, third = powers.third / n, fourth = powers.fourth / n;
  f.mean = mean;
  f.variance = second;
  f.skewness = second > 0 ? third / (second * std::sqrt(second)) : 0;
  f.kurtosis = second > 0 ? fourth / (second * second) - 3 : 0;
  f.minimum = range.low;
  f.maximum = range.high;
  const auto [p10, p25, p50, p75, p90] =
      Percentiles<5>(values, n, range, {0.1, 0.25, 0.5, 0.75, 0.9});
  f.median = p50;
  f.percentile_10 = p10;
  f.percentile_90 = p90;
  f.interquartile_range = p75 - p25;
  f.range = f.maximum - f.minimum;
  f.mean_absolute_deviation = SumOfDistances(values, mean, range.low, range.high) / n;
  if (const Within middle = SumWithin(values, p10, p90); middle.voxels > 0) {
    f.robust_mean_absolute_deviation =
        SumOfDistances(values, middle.sum / middle.voxels, p10, p90) / middle.voxels;
  }
  f.median_absolute_deviation = SumOfDistances(values, p50, range.low, range.high) / n;
  f.coefficient_of_variation = mean != 0 ? std::sqrt(second) / mean : kUndefined;
  f.quartile_coefficient_of_dispersion = p75 + p25 != 0 ? (p75 - p25) / (p75 + p25) : kUndefined;
  f.energy = powers.squares;
  f.root_mean_square = std::sqrt(powers.squares / n);
  return f;
}

}  // namespace

CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
IntensityRange RangeOf(std::span<const double> values) {
  double low[kLanes], high[kLanes];
  Sum zero;
  std::fill_n(low, kLanes, values[0]);
  std::fill_n(high, kLanes, values[0]);
  ForEachLane({values, {}}, [&](std::size_t lane, double x, double) {
    low[lane] = x < low[lane] ? x : low[lane];
    high[lane] = x > high[lane] ? x : high[lane];
    zero.lanes[lane] += x - x;
  });
  return {*std::min_element(low, low + kLanes), *std::max_element(high, high + kLanes),
          zero.Total() == 0};
}

IntensityFeatures IntensityStatistics(std::span<const double> intensities) {
  if (intensities.empty()) return {};
  const IntensityRange range = RangeOf(intensities);
  if (!range.finite) return {};
  const CountTable table = TableOf(intensities, range);
  return StatisticsOf(
      table.values.empty() ? Counted{intensities, {}} : Counted{table.values, table.counts}, range);
}

HistogramFeatures IntensityHistogram(const GreyLevels& levels) {
  HistogramFeatures f;
  if (levels.levels.empty()) return f;
  const auto count = static_cast<std::size_t>(levels.count);
  std::vector<std::uint64_t> h(count);  // of level i + 1
  for (const std::uint16_t level : levels.levels) ++h[level - std::size_t{1}];
  CountTable present;
  for (std::size_t i = 0; i < count; ++i) {
    if (h[i] == 0) continue;
    present.values.push_back(static_cast<double>(i + 1));
    present.counts.push_back(static_cast<double>(h[i]));
  }
  f.of_levels = StatisticsOf({present.values, present.counts}, RangeOf(present.values));
  const auto n = static_cast<double>(levels.levels.size());
  f.entropy = f.uniformity = 0;
  std::size_t mode = 0;
  for (std::size_t k = 0; k < present.values.size(); ++k) {
    const double p = present.counts[k] / n;
    f.entropy += EntropyTerm(p);
    f.uniformity += p * p;
    const auto from_mean = [&](std::size_t of) {
      return std::abs(present.values[of] - f.of_levels.mean);
    };
    if (present.counts[k] > present.counts[mode] ||
        (present.counts[k] == present.counts[mode] && from_mean(k) < from_mean(mode)))
      mode = k;
  }
  f.mode = present.values[mode];
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
