#include "engine/glcm.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "base/portable_math.h"
#include "engine/entropy.h"

namespace consilium::engine {
namespace {

double Entropy(const std::vector<double>& p) {
  double sum = 0;
  for (const double x : p) sum += EntropyTerm(x);
  return sum;
}

}  // namespace

CooccurrenceCounts::CooccurrenceCounts(const LevelBox& levels, const Direction& direction,
                                       int distance, int z)
    : level_count_(levels.level_count()),
      row_(static_cast<std::size_t>(level_count_) + 1),
      counts_(row_ * row_) {
  const std::uint16_t* data = levels.data();
  const std::ptrdiff_t step = distance * levels.Step(direction);
  // Pairs with a voxel outside the region land in column 0.
  for (const std::uint32_t at : z < 0 ? levels.voxels() : levels.voxels(z))
    ++counts_[data[at] * row_ + data[at + step]];
  for (std::size_t i = 1; i < row_; ++i) {
    counts_[i * row_] = 0;
    for (std::size_t j = 1; j < row_; ++j) pairs_ += counts_[i * row_ + j];
  }
}

void CooccurrenceCounts::Add(const CooccurrenceCounts& other) {
  for (std::size_t k = 0; k < counts_.size(); ++k) counts_[k] += other.counts_[k];
  pairs_ += other.pairs_;
}

GlcmFeatures FeaturesOf(const CooccurrenceCounts& counts) {
  GlcmFeatures f;
  if (counts.empty()) return f;
  const int levels = counts.level_count();
  const auto size = static_cast<std::size_t>(levels) + 1;
  const double total = static_cast<double>(counts.total());
  std::vector<double> marginal(size), of_sum(2 * size), of_difference(size);
  double squares = 0, entropy = 0, maximum = 0, autocorrelation = 0;
  for (int i = 1; i <= levels; ++i) {
    for (int j = 1; j <= i; ++j) {
      const std::uint64_t n = counts.At(i, j);
      if (n == 0) continue;
      // At(i, i) counts a pair of equal levels twice; off the diagonal (i, j) and (j, i) are one.
      const double p = static_cast<double>(n) / total, both = i == j ? p : 2 * p;
      maximum = std::max(maximum, p);
      squares += both * p;
      entropy += EntropyTerm(p) * (i == j ? 1 : 2);
      autocorrelation += both * i * j;
      marginal[static_cast<std::size_t>(i)] += p;
      if (i != j) marginal[static_cast<std::size_t>(j)] += p;
      of_sum[static_cast<std::size_t>(i + j)] += both;
      of_difference[static_cast<std::size_t>(i - j)] += both;
    }
  }
  double mean = 0, variance = 0;
  for (int i = 1; i <= levels; ++i) mean += i * marginal[static_cast<std::size_t>(i)];
  for (int i = 1; i <= levels; ++i)
    variance += (i - mean) * (i - mean) * marginal[static_cast<std::size_t>(i)];
  f.joint_maximum = maximum;
  f.joint_average = mean;
  f.joint_variance = variance;
  f.joint_entropy = entropy;
  f.angular_second_moment = squares;
  f.autocorrelation = autocorrelation;
  f.correlation = variance > 0 ? (autocorrelation - mean * mean) / variance : kUndefined;

  double difference_average = 0, contrast = 0, id = 0, idn = 0, idm = 0, idmn = 0,
         inverse_variance = 0;
  for (int k = 0; k < levels; ++k) {
    const double p = of_difference[static_cast<std::size_t>(k)];
    if (p == 0) continue;
    const double d = k, part = d / levels;
    difference_average += d * p;
    contrast += d * d * p;
    id += p / (1 + d);
    idn += p / (1 + part);
    idm += p / (1 + d * d);
    idmn += p / (1 + part * part);
    if (k > 0) inverse_variance += p / (d * d);
  }
  double difference_variance = 0;
  for (int k = 0; k < levels; ++k) {
    const double d = k - difference_average;
    difference_variance += d * d * of_difference[static_cast<std::size_t>(k)];
  }
  f.difference_average = f.dissimilarity = difference_average;
  f.difference_variance = difference_variance;
  f.difference_entropy = Entropy(of_difference);
  f.contrast = contrast;
  f.inverse_difference = id;
  f.inverse_difference_normalised = idn;
  f.inverse_difference_moment = idm;
  f.inverse_difference_moment_normalised = idmn;
  f.inverse_variance = inverse_variance;

  double sum_average = 0, tendency = 0, shade = 0, prominence = 0;
  for (int k = 2; k <= 2 * levels; ++k) sum_average += k * of_sum[static_cast<std::size_t>(k)];
  for (int k = 2; k <= 2 * levels; ++k) {
    const double p = of_sum[static_cast<std::size_t>(k)], d = k - 2 * mean;
    tendency += d * d * p;
    shade += d * d * d * p;
    prominence += d * d * d * d * p;
  }
  f.sum_average = sum_average;
  f.sum_variance = f.cluster_tendency = tendency;  // the mean of i + j is twice that of i
  f.sum_entropy = Entropy(of_sum);
  f.cluster_shade = shade;
  f.cluster_prominence = prominence;

  // HXY1 = -sum p(i,j) log2(p_i p_j) = 2 HX and HXY2 = -sum p_i p_j log2(p_i p_j) = 2 HX, for p is
  // symmetric.
  const double marginal_entropy = Entropy(marginal);
  f.information_correlation_1 =
      marginal_entropy > 0 ? (entropy - 2 * marginal_entropy) / marginal_entropy : kUndefined;
  f.information_correlation_2 =
      std::sqrt(std::max(0.0, 1 - Exp(-2 * (2 * marginal_entropy - entropy))));
  return f;
}

double MaximalCorrelationOf(const CooccurrenceCounts& counts) {
  if (counts.empty()) return kUndefined;
  std::vector<int> present;
  std::vector<double> marginal;
  for (int i = 1; i <= counts.level_count(); ++i) {
    std::uint64_t sum = 0;
    for (int j = 1; j <= counts.level_count(); ++j) sum += counts.At(i, j);
    if (sum == 0) continue;
    present.push_back(i);
    marginal.push_back(static_cast<double>(sum));
  }
  const auto n = static_cast<Eigen::Index>(present.size());
  if (n < 2) return 1;
  Eigen::MatrixXd scaled(n, n);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < n; ++j) {
      const auto a = static_cast<std::size_t>(i), b = static_cast<std::size_t>(j);
      scaled(i, j) = static_cast<double>(counts.At(present[a], present[b])) /
                     std::sqrt(marginal[a] * marginal[b]);
    }
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(scaled, Eigen::EigenvaluesOnly);
  Eigen::VectorXd sizes = eigen.eigenvalues().cwiseAbs();
  std::sort(sizes.begin(), sizes.end());
  return sizes[n - 2];
}

GlcmFeatures Glcm(const LevelBox& levels, Aggregation how, int distance) {
  const auto counts = CountBySliceAndDirection<CooccurrenceCounts>(
      levels, how, [&](const Direction& direction, int z) {
        return CooccurrenceCounts(levels, direction, distance, z);
      });
  return AggregateFeatures(counts, how,
                           [](const CooccurrenceCounts& one) { return FeaturesOf(one); });
}

}  // namespace consilium::engine
