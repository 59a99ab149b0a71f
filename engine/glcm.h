// Grey-level co-occurrence: how often two levels lie side by side.
//
// Notation: n(i, j) pairs of voxels with levels i and j at one distance in one direction, both ways
// round (symmetric) unless said; p(i, j) = n(i, j) / sum; p_i and p_j its rows' and columns' sums;
// N_g levels; p_+ and p_- the distributions of i + j and |i - j|. Source: IBSI reference manual,
// "Grey level co-occurrence based features" (LFYI); Haralick, Shanmugam & Dinstein, IEEE
// SMC-3(6):610-621, 1973.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/aggregation.h"
#include "engine/feature_list.h"
#include "engine/grey_levels.h"

namespace consilium::engine {

class CooccurrenceCounts {
 public:
  CooccurrenceCounts() = default;
  // Pairs of `levels` at `distance` times `direction`, within slice `z`, or in the volume (z < 0).
  CooccurrenceCounts(const LevelBox& levels, const Direction& direction, int distance, int z = -1);

  [[nodiscard]] int level_count() const { return level_count_; }
  // Ascending: those that are counted. Of few levels all, of many only those that the region has:
  // a table of 5,000 levels a side would be nearly empty.
  [[nodiscard]] const std::vector<int>& levels() const { return levels_; }
  // n(i, j) = n(j, i) of i = levels()[a], j = levels()[b].
  [[nodiscard]] std::uint64_t At(std::size_t a, std::size_t b) const {
    return std::uint64_t{OneWay(a, b)} + OneWay(b, a);
  }
  // Pairs that begin with i and end with j.
  [[nodiscard]] std::uint32_t OneWay(std::size_t a, std::size_t b) const {
    return counts_[(a + 1) * (levels_.size() + 1) + b + 1];
  }
  [[nodiscard]] std::uint64_t total() const { return 2 * pairs_; }
  [[nodiscard]] bool empty() const { return pairs_ == 0; }
  // `other` is of the same levels.
  void Add(const CooccurrenceCounts& other);

 private:
  int level_count_ = 0;
  std::vector<int> levels_;
  // [levels + 1 x levels + 1] One way round; row and column 0 (outside the region) are never read.
  std::vector<std::uint32_t> counts_;
  std::uint64_t pairs_ = 0;
};

// Counts of several directions, each with a weight, and symmetric or one way round.
class WeightedCooccurrence {
 public:
  // weight >= 0. All `counts` are of the same levels.
  void Add(const CooccurrenceCounts& counts, double weight, bool symmetric);

  [[nodiscard]] int level_count() const { return level_count_; }
  [[nodiscard]] const std::vector<int>& levels() const { return levels_; }
  [[nodiscard]] double At(std::size_t a, std::size_t b) const { return n_[a * levels_.size() + b]; }
  [[nodiscard]] double total() const { return total_; }
  [[nodiscard]] bool empty() const { return !(total_ > 0); }

 private:
  int level_count_ = 0;
  std::vector<int> levels_;
  std::vector<double> n_;  // [levels x levels]
  double total_ = 0;
};

struct GlcmFeatures : Averaged<GlcmFeatures> {
  double joint_maximum = kUndefined, joint_average = kUndefined, joint_variance = kUndefined,
         joint_entropy = kUndefined, difference_average = kUndefined,
         difference_variance = kUndefined, difference_entropy = kUndefined,
         sum_average = kUndefined, sum_variance = kUndefined, sum_entropy = kUndefined,
         angular_second_moment = kUndefined, contrast = kUndefined, dissimilarity = kUndefined,
         inverse_difference = kUndefined, inverse_difference_normalised = kUndefined,
         inverse_difference_moment = kUndefined, inverse_difference_moment_normalised = kUndefined,
         inverse_variance = kUndefined, correlation = kUndefined, autocorrelation = kUndefined,
         cluster_tendency = kUndefined, cluster_shade = kUndefined, cluster_prominence = kUndefined,
         information_correlation_1 = kUndefined, information_correlation_2 = kUndefined;

  template <typename Features, typename Visitor>
  static void Visit(Features&& f, Visitor&& visit) {
    visit(FeatureName{"joint_maximum", "GYBY", "MaximumProbability"}, f.joint_maximum);
    visit(FeatureName{"joint_average", "60VM", "JointAverage"}, f.joint_average);
    visit(FeatureName{"joint_variance", "UR99", "SumSquares"}, f.joint_variance);
    visit(FeatureName{"joint_entropy", "TU9B", "JointEntropy"}, f.joint_entropy);
    visit(FeatureName{"difference_average", "TF7R", "DifferenceAverage"}, f.difference_average);
    visit(FeatureName{"difference_variance", "D3YU", "DifferenceVariance"}, f.difference_variance);
    visit(FeatureName{"difference_entropy", "NTRS", "DifferenceEntropy"}, f.difference_entropy);
    visit(FeatureName{"sum_average", "ZGXS", "SumAverage"}, f.sum_average);
    visit(FeatureName{"sum_variance", "OEEB", "SumVariance"}, f.sum_variance);
    visit(FeatureName{"sum_entropy", "P6QZ", "SumEntropy"}, f.sum_entropy);
    visit(FeatureName{"angular_second_moment", "8ZQL", "JointEnergy"}, f.angular_second_moment);
    visit(FeatureName{"contrast", "ACUI", "Contrast"}, f.contrast);
    visit(FeatureName{"dissimilarity", "8S9J", "Dissimilarity"}, f.dissimilarity);
    visit(FeatureName{"inverse_difference", "IB1Z", "Id"}, f.inverse_difference);
    visit(FeatureName{"inverse_difference_normalised", "NDRX", "Idn"},
          f.inverse_difference_normalised);
    visit(FeatureName{"inverse_difference_moment", "WF0Z", "Idm"}, f.inverse_difference_moment);
    visit(FeatureName{"inverse_difference_moment_normalised", "1QCO", "Idmn"},
          f.inverse_difference_moment_normalised);
    visit(FeatureName{"inverse_variance", "E8JP", "InverseVariance"}, f.inverse_variance);
    visit(FeatureName{"correlation", "NI2N", "Correlation"}, f.correlation);
    visit(FeatureName{"autocorrelation", "QWB0", "Autocorrelation"}, f.autocorrelation);
    visit(FeatureName{"cluster_tendency", "DG8W", "ClusterTendency"}, f.cluster_tendency);
    visit(FeatureName{"cluster_shade", "7NFM", "ClusterShade"}, f.cluster_shade);
    visit(FeatureName{"cluster_prominence", "AE86", "ClusterProminence"}, f.cluster_prominence);
    visit(FeatureName{"information_correlation_1", "R8DG", "Imc1"}, f.information_correlation_1);
    visit(FeatureName{"information_correlation_2", "JN9H", "Imc2"}, f.information_correlation_2);
  }
};

// Of one count; all NaN if it is empty. Correlation and the first information correlation are NaN
// where all levels are one (0 / 0).
[[nodiscard]] GlcmFeatures FeaturesOf(const CooccurrenceCounts& counts);
[[nodiscard]] GlcmFeatures FeaturesOf(const WeightedCooccurrence& counts);

// The maximal correlation coefficient: the second largest singular value of p(i, j) / sqrt(p_i p_j)
// (Haralick 1973, feature 14; PyRadiomics' MCC; no part of the IBSI's). 0 where all pairs are of
// one level; NaN if empty.
[[nodiscard]] double MaximalCorrelationOf(const CooccurrenceCounts& counts);
[[nodiscard]] double MaximalCorrelationOf(const WeightedCooccurrence& counts);

// Of a region. `distance` >= 1, at most the box's border.
[[nodiscard]] GlcmFeatures Glcm(const LevelBox& levels, Aggregation how, int distance = 1);

}  // namespace consilium::engine
