#include "engine/size_counts.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "engine/entropy.h"

namespace consilium::engine {
namespace {

constexpr std::array<FeatureName, 16> kGlrlm = {{
    {"short_runs_emphasis", "22OV", "ShortRunEmphasis"},
    {"long_runs_emphasis", "W4KF", "LongRunEmphasis"},
    {"low_grey_level_run_emphasis", "V3SW", "LowGrayLevelRunEmphasis"},
    {"high_grey_level_run_emphasis", "G3QZ", "HighGrayLevelRunEmphasis"},
    {"short_run_low_grey_level_emphasis", "HTZT", "ShortRunLowGrayLevelEmphasis"},
    {"short_run_high_grey_level_emphasis", "GD3A", "ShortRunHighGrayLevelEmphasis"},
    {"long_run_low_grey_level_emphasis", "IVPO", "LongRunLowGrayLevelEmphasis"},
    {"long_run_high_grey_level_emphasis", "3KUM", "LongRunHighGrayLevelEmphasis"},
    {"grey_level_non_uniformity", "R5YN", "GrayLevelNonUniformity"},
    {"grey_level_non_uniformity_normalised", "OVBL", "GrayLevelNonUniformityNormalized"},
    {"run_length_non_uniformity", "W92Y", "RunLengthNonUniformity"},
    {"run_length_non_uniformity_normalised", "IC23", "RunLengthNonUniformityNormalized"},
    {"run_percentage", "9ZK5", "RunPercentage"},
    {"grey_level_variance", "8CE5", "GrayLevelVariance"},
    {"run_length_variance", "SXLW", "RunVariance"},
    {"run_entropy", "HJ9O", "RunEntropy"},
}};
constexpr std::array<FeatureName, 16> kGlszm = {{
    {"small_zone_emphasis", "5QRC", "SmallAreaEmphasis"},
    {"large_zone_emphasis", "48P8", "LargeAreaEmphasis"},
    {"low_grey_level_zone_emphasis", "XMSY", "LowGrayLevelZoneEmphasis"},
    {"high_grey_level_zone_emphasis", "5GN9", "HighGrayLevelZoneEmphasis"},
    {"small_zone_low_grey_level_emphasis", "5RAI", "SmallAreaLowGrayLevelEmphasis"},
    {"small_zone_high_grey_level_emphasis", "HW1V", "SmallAreaHighGrayLevelEmphasis"},
    {"large_zone_low_grey_level_emphasis", "YH51", "LargeAreaLowGrayLevelEmphasis"},
    {"large_zone_high_grey_level_emphasis", "J17V", "LargeAreaHighGrayLevelEmphasis"},
    {"grey_level_non_uniformity", "JNSA", "GrayLevelNonUniformity"},
    {"grey_level_non_uniformity_normalised", "Y1RO", "GrayLevelNonUniformityNormalized"},
    {"zone_size_non_uniformity", "4JP3", "SizeZoneNonUniformity"},
    {"zone_size_non_uniformity_normalised", "VB3A", "SizeZoneNonUniformityNormalized"},
    {"zone_percentage", "P30P", "ZonePercentage"},
    {"grey_level_variance", "BYLV", "GrayLevelVariance"},
    {"zone_size_variance", "3NSA", "ZoneVariance"},
    {"zone_size_entropy", "GU8N", "ZoneEntropy"},
}};
constexpr std::array<FeatureName, 16> kGldzm = {{
    {"small_distance_emphasis", "0GBI", ""},
    {"large_distance_emphasis", "MB4I", ""},
    {"low_grey_level_zone_emphasis", "S1RA", ""},
    {"high_grey_level_zone_emphasis", "K26C", ""},
    {"small_distance_low_grey_level_emphasis", "RUVG", ""},
    {"small_distance_high_grey_level_emphasis", "DKNJ", ""},
    {"large_distance_low_grey_level_emphasis", "A7WM", ""},
    {"large_distance_high_grey_level_emphasis", "KLTH", ""},
    {"grey_level_non_uniformity", "VFT7", ""},
    {"grey_level_non_uniformity_normalised", "7HP3", ""},
    {"zone_distance_non_uniformity", "V294", ""},
    {"zone_distance_non_uniformity_normalised", "IATH", ""},
    {"zone_percentage", "VIWW", ""},
    {"grey_level_variance", "QK93", ""},
    {"zone_distance_variance", "7WT1", ""},
    {"zone_distance_entropy", "GBDU", ""},
}};
constexpr std::array<FeatureName, 17> kNgldm = {{
    {"low_dependence_emphasis", "SODN", "SmallDependenceEmphasis"},
    {"high_dependence_emphasis", "IMOQ", "LargeDependenceEmphasis"},
    {"low_grey_level_count_emphasis", "TL9H", "LowGrayLevelEmphasis"},
    {"high_grey_level_count_emphasis", "OAE7", "HighGrayLevelEmphasis"},
    {"low_dependence_low_grey_level_emphasis", "EQ3F", "SmallDependenceLowGrayLevelEmphasis"},
    {"low_dependence_high_grey_level_emphasis", "JA6D", "SmallDependenceHighGrayLevelEmphasis"},
    {"high_dependence_low_grey_level_emphasis", "NBZI", "LargeDependenceLowGrayLevelEmphasis"},
    {"high_dependence_high_grey_level_emphasis", "9QMG", "LargeDependenceHighGrayLevelEmphasis"},
    {"grey_level_non_uniformity", "FP8K", "GrayLevelNonUniformity"},
    {"grey_level_non_uniformity_normalised", "5SPA", "GrayLevelNonUniformityNormalized"},
    {"dependence_count_non_uniformity", "Z87G", "DependenceNonUniformity"},
    {"dependence_count_non_uniformity_normalised", "OKJI", "DependenceNonUniformityNormalized"},
    {"dependence_count_percentage", "6XV8", "DependencePercentage"},
    {"grey_level_variance", "1PFV", "GrayLevelVariance"},
    {"dependence_count_variance", "DNX2", "DependenceVariance"},
    {"dependence_count_entropy", "FCBV", "DependenceEntropy"},
    {"dependence_count_energy", "CAS9", ""},
}};

}  // namespace

std::span<const FeatureName> GlrlmNames() { return kGlrlm; }
std::span<const FeatureName> GlszmNames() { return kGlszm; }
std::span<const FeatureName> GldzmNames() { return kGldzm; }
std::span<const FeatureName> NgldmNames() { return kNgldm; }

SizeCounts::SizeCounts(std::vector<Item> items, std::size_t voxels)
    : voxels_(static_cast<double>(voxels)) {
  // Most numbers are small: these are counted in a table, and the others, sorted, come after them.
  constexpr std::uint32_t kSmall = 63, kRow = kSmall + 1;
  std::uint32_t levels = 0;
  for (const Item& item : items) levels = std::max(levels, item.level);
  std::vector<std::uint32_t> table((levels + std::size_t{1}) * kRow);
  std::vector<Item> large;
  for (const Item& item : items) {
    if (item.number <= kSmall) {
      ++table[std::size_t{item.level} * kRow + item.number];
    } else {
      large.push_back(item);
    }
  }
  std::sort(large.begin(), large.end(), [](const Item& a, const Item& b) {
    return std::tie(a.level, a.number) < std::tie(b.level, b.number);
  });
  auto next = large.begin();
  for (std::uint32_t level = 0; level <= levels; ++level) {
    for (std::uint32_t number = 0; number <= kSmall; ++number) {
      const std::uint32_t count = table[std::size_t{level} * kRow + number];
      if (count > 0) entries_.push_back({level, number, static_cast<double>(count)});
    }
    for (; next != large.end() && next->level == level; ++next) {
      if (entries_.empty() || entries_.back().level != level ||
          entries_.back().number != next->number) {
        entries_.push_back({level, next->number, 0});
      }
      ++entries_.back().count;
    }
  }
}

SizeCounts::SizeCounts(std::span<const std::uint32_t> table, std::size_t numbers,
                       std::size_t voxels)
    : voxels_(static_cast<double>(voxels)) {
  const std::size_t row = numbers + 1;
  for (std::size_t level = 1; level * row < table.size(); ++level) {
    for (std::size_t number = 1; number < row; ++number) {
      const std::uint32_t count = table[level * row + number];
      if (count > 0) {
        entries_.push_back({static_cast<std::uint32_t>(level), static_cast<std::uint32_t>(number),
                            static_cast<double>(count)});
      }
    }
  }
}

void SizeCounts::Add(const SizeCounts& other) {
  std::vector<Entry> merged;
  merged.reserve(entries_.size() + other.entries_.size());
  const auto before = [](const Entry& a, const Entry& b) {
    return std::tie(a.level, a.number) < std::tie(b.level, b.number);
  };
  auto a = entries_.begin();
  auto b = other.entries_.begin();
  while (a != entries_.end() || b != other.entries_.end()) {
    if (b == other.entries_.end() || (a != entries_.end() && before(*a, *b))) {
      merged.push_back(*a++);
    } else if (a == entries_.end() || before(*b, *a)) {
      merged.push_back(*b++);
    } else {
      merged.push_back({a->level, a->number, a->count + b->count});
      ++a;
      ++b;
    }
  }
  entries_ = std::move(merged);
  voxels_ += other.voxels_;
}

void SizeCounts::Scale(double factor) {
  for (Entry& entry : entries_) entry.count *= factor;
  voxels_ *= factor;
}

SizeFeatures FeaturesOf(const SizeCounts& counts) {
  SizeFeatures f;
  if (counts.empty()) return f;
  double total = 0, i_mean = 0, j_mean = 0;
  for (const auto& entry : counts.entries()) {
    total += entry.count;
    i_mean += entry.count * entry.level;
    j_mean += entry.count * entry.number;
  }
  i_mean /= total;
  j_mean /= total;
  f.small_emphasis = f.large_emphasis = f.low_grey_emphasis = f.high_grey_emphasis = 0;
  f.small_low_grey_emphasis = f.small_high_grey_emphasis = f.large_low_grey_emphasis =
      f.large_high_grey_emphasis = 0;
  f.grey_variance = f.number_variance = f.entropy = f.energy = 0;
  std::vector<std::pair<std::uint32_t, double>> by_number;
  by_number.reserve(counts.entries().size());
  double of_level = 0, grey_squares = 0;
  for (std::size_t k = 0; k < counts.entries().size(); ++k) {
    const auto& entry = counts.entries()[k];
    const double n = entry.count, i = entry.level, j = entry.number, ii = i * i, jj = j * j,
                 p = n / total;
    f.small_emphasis += n / jj;
    f.large_emphasis += n * jj;
    f.low_grey_emphasis += n / ii;
    f.high_grey_emphasis += n * ii;
    f.small_low_grey_emphasis += n / (ii * jj);
    f.small_high_grey_emphasis += n * ii / jj;
    f.large_low_grey_emphasis += n * jj / ii;
    f.large_high_grey_emphasis += n * ii * jj;
    f.grey_variance += (i - i_mean) * (i - i_mean) * p;
    f.number_variance += (j - j_mean) * (j - j_mean) * p;
    f.entropy += EntropyTerm(p);
    f.energy += p * p;
    of_level += n;
    if (k + 1 == counts.entries().size() || counts.entries()[k + 1].level != entry.level) {
      grey_squares += of_level * of_level;
      of_level = 0;
    }
    by_number.emplace_back(entry.number, n);
  }
  std::sort(by_number.begin(), by_number.end());
  double of_number = 0, number_squares = 0;
  for (std::size_t k = 0; k < by_number.size(); ++k) {
    of_number += by_number[k].second;
    if (k + 1 == by_number.size() || by_number[k + 1].first != by_number[k].first) {
      number_squares += of_number * of_number;
      of_number = 0;
    }
  }
  for (double* mean :
       {&f.small_emphasis, &f.large_emphasis, &f.low_grey_emphasis, &f.high_grey_emphasis,
        &f.small_low_grey_emphasis, &f.small_high_grey_emphasis, &f.large_low_grey_emphasis,
        &f.large_high_grey_emphasis})
    *mean /= total;
  f.grey_non_uniformity = grey_squares / total;
  f.grey_non_uniformity_normalised = grey_squares / (total * total);
  f.number_non_uniformity = number_squares / total;
  f.number_non_uniformity_normalised = number_squares / (total * total);
  f.percentage = total / counts.voxels();
  return f;
}

}  // namespace consilium::engine
