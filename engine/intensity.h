// First-order features: of intensities, of their histogram, of their volume histogram.
//
// Notation: x_k intensities of N_v voxels, mu their mean; H(i) voxels of level i; variances divide
// by N_v. Percentiles interpolate linearly between order statistics (rank (N_v - 1) q). Source:
// IBSI reference manual, "Intensity-based statistical features" (UHIW), "Intensity histogram
// features" (ZVCW), "Intensity-volume histogram features" (P88C).
#pragma once

#include <span>
#include <vector>

#include "engine/feature_list.h"
#include "engine/grey_levels.h"

namespace consilium::engine {

struct IntensityFeatures : Averaged<IntensityFeatures> {
  double mean = kUndefined, variance = kUndefined, skewness = kUndefined, kurtosis = kUndefined,
         median = kUndefined, minimum = kUndefined, percentile_10 = kUndefined,
         percentile_90 = kUndefined, maximum = kUndefined, interquartile_range = kUndefined,
         range = kUndefined, mean_absolute_deviation = kUndefined,
         robust_mean_absolute_deviation = kUndefined, median_absolute_deviation = kUndefined,
         coefficient_of_variation = kUndefined, quartile_coefficient_of_dispersion = kUndefined,
         energy = kUndefined, root_mean_square = kUndefined;

  template <typename Features, typename Visitor>
  static void Visit(Features&& f, Visitor&& visit) {
    visit(FeatureName{"mean", "Q4LE", "Mean"}, f.mean);
    visit(FeatureName{"variance", "ECT3", "Variance"}, f.variance);
    visit(FeatureName{"skewness", "KE2A", "Skewness"}, f.skewness);
    visit(FeatureName{"kurtosis", "IPH6", "Kurtosis"}, f.kurtosis);
    visit(FeatureName{"median", "Y12H", "Median"}, f.median);
    visit(FeatureName{"minimum", "1GSF", "Minimum"}, f.minimum);
    visit(FeatureName{"percentile_10", "QG58", "10Percentile"}, f.percentile_10);
    visit(FeatureName{"percentile_90", "8DWT", "90Percentile"}, f.percentile_90);
    visit(FeatureName{"maximum", "84IY", "Maximum"}, f.maximum);
    visit(FeatureName{"interquartile_range", "SALO", "InterquartileRange"}, f.interquartile_range);
    visit(FeatureName{"range", "2OJQ", "Range"}, f.range);
    visit(FeatureName{"mean_absolute_deviation", "4FUA", "MeanAbsoluteDeviation"},
          f.mean_absolute_deviation);
    visit(FeatureName{"robust_mean_absolute_deviation", "1128", "RobustMeanAbsoluteDeviation"},
          f.robust_mean_absolute_deviation);
    visit(FeatureName{"median_absolute_deviation", "N72L", ""}, f.median_absolute_deviation);
    visit(FeatureName{"coefficient_of_variation", "7TET", ""}, f.coefficient_of_variation);
    visit(FeatureName{"quartile_coefficient_of_dispersion", "9S40", ""},
          f.quartile_coefficient_of_dispersion);
    visit(FeatureName{"energy", "N8CA", "Energy"}, f.energy);
    visit(FeatureName{"root_mean_square", "5ZWQ", "RootMeanSquared"}, f.root_mean_square);
  }
};
// The least and the largest of intensities [n], n >= 1, and whether all are finite numbers; if not,
// the others say nothing.
struct IntensityRange {
  double low = 0, high = 0;
  bool finite = false;
};
[[nodiscard]] IntensityRange RangeOf(std::span<const double> intensities);

// Kurtosis is the excess over the normal distribution's 3. A flat region: skewness and kurtosis 0.
// All NaN without a voxel, or if one is not finite.
[[nodiscard]] IntensityFeatures IntensityStatistics(std::span<const double> intensities);

struct HistogramFeatures : Averaged<HistogramFeatures> {
  IntensityFeatures of_levels;  // energy and root mean square are no part of the family
  double mode = kUndefined, entropy = kUndefined, uniformity = kUndefined,
         maximum_gradient = kUndefined, maximum_gradient_level = kUndefined,
         minimum_gradient = kUndefined, minimum_gradient_level = kUndefined;

  template <typename Features, typename Visitor>
  static void Visit(Features&& f, Visitor&& visit) {
    auto& s = f.of_levels;
    visit(FeatureName{"mean", "X6K6", ""}, s.mean);
    visit(FeatureName{"variance", "CH89", ""}, s.variance);
    visit(FeatureName{"skewness", "88K1", ""}, s.skewness);
    visit(FeatureName{"kurtosis", "C3I7", ""}, s.kurtosis);
    visit(FeatureName{"median", "WIFQ", ""}, s.median);
    visit(FeatureName{"minimum", "1PR8", ""}, s.minimum);
    visit(FeatureName{"percentile_10", "GPMT", ""}, s.percentile_10);
    visit(FeatureName{"percentile_90", "OZ0C", ""}, s.percentile_90);
    visit(FeatureName{"maximum", "3NCY", ""}, s.maximum);
    visit(FeatureName{"mode", "AMMC", ""}, f.mode);
    visit(FeatureName{"interquartile_range", "WR0O", ""}, s.interquartile_range);
    visit(FeatureName{"range", "5Z3W", ""}, s.range);
    visit(FeatureName{"mean_absolute_deviation", "D2ZX", ""}, s.mean_absolute_deviation);
    visit(FeatureName{"robust_mean_absolute_deviation", "WRZB", ""},
          s.robust_mean_absolute_deviation);
    visit(FeatureName{"median_absolute_deviation", "4RNL", ""}, s.median_absolute_deviation);
    visit(FeatureName{"coefficient_of_variation", "CWYJ", ""}, s.coefficient_of_variation);
    visit(FeatureName{"quartile_coefficient_of_dispersion", "SLWD", ""},
          s.quartile_coefficient_of_dispersion);
    visit(FeatureName{"entropy", "TLU2", "Entropy"}, f.entropy);
    visit(FeatureName{"uniformity", "BJ5W", "Uniformity"}, f.uniformity);
    visit(FeatureName{"maximum_gradient", "12CE", ""}, f.maximum_gradient);
    visit(FeatureName{"maximum_gradient_level", "8E6O", ""}, f.maximum_gradient_level);
    visit(FeatureName{"minimum_gradient", "VQB3", ""}, f.minimum_gradient);
    visit(FeatureName{"minimum_gradient_level", "RHQZ", ""}, f.minimum_gradient_level);
  }
};
// The mode that is nearest to the mean, the lower one of two; the first level of an extreme
// gradient. Gradients are central differences of H over the levels 1 to N_g, one-sided at both
// ends, and NaN with one level only.
[[nodiscard]] HistogramFeatures IntensityHistogram(const GreyLevels& levels);

struct VolumeHistogramFeatures : Averaged<VolumeHistogramFeatures> {
  double volume_at_intensity_10 = kUndefined, volume_at_intensity_90 = kUndefined,
         intensity_at_volume_10 = kUndefined, intensity_at_volume_90 = kUndefined,
         volume_difference = kUndefined, intensity_difference = kUndefined,
         area_under_curve = kUndefined;

  template <typename Features, typename Visitor>
  static void Visit(Features&& f, Visitor&& visit) {
    visit(FeatureName{"volume_at_intensity_10", "BC2M:NK6P", ""}, f.volume_at_intensity_10);
    visit(FeatureName{"volume_at_intensity_90", "BC2M:4279", ""}, f.volume_at_intensity_90);
    visit(FeatureName{"intensity_at_volume_10", "GBPN:PWN1", ""}, f.intensity_at_volume_10);
    visit(FeatureName{"intensity_at_volume_90", "GBPN:BOHI", ""}, f.intensity_at_volume_90);
    visit(FeatureName{"volume_difference", "DDTU:WITY", ""}, f.volume_difference);
    visit(FeatureName{"intensity_difference", "CNV2:JXJA", ""}, f.intensity_difference);
    visit(FeatureName{"area_under_curve", "9CMM", ""}, f.area_under_curve);
  }
};
// Of levels 1 to N_g, whose intensities are `first`, `first` + `step`, ... (the centres of the
// bins; the intensities themselves where they are discrete; 1 and 1 where they have no unit). N_g
// is that of the whole range, which may reach beyond the region's maximum: `level_count`.
[[nodiscard]] VolumeHistogramFeatures IntensityVolumeHistogram(
    std::span<const std::uint16_t> levels, int level_count, double first, double step);

}  // namespace consilium::engine
