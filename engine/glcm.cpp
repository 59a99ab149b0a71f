#include "engine/glcm.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "base/portable_math.h"
#include "engine/entropy.h"
#include "engine/vector_clones.h"

namespace consilium::engine {
namespace {

double Entropy(const std::vector<double>& p) {
  double sum = 0;
  for (const double x : p) sum += EntropyTerm(x);
  return sum;
}

// Mean and variance of a distribution over levels, and its entropy.
struct Marginal {
  explicit Marginal(const std::vector<double>& p) : entropy(Entropy(p)) {
    for (std::size_t i = 1; i < p.size(); ++i) mean += static_cast<double>(i) * p[i];
    for (std::size_t i = 1; i < p.size(); ++i) {
      const double d = static_cast<double>(i) - mean;
      variance += d * d * p[i];
    }
  }
  double mean = 0, variance = 0, entropy = 0;
};

// `kSymmetric`: At(i, j) = At(j, i), which saves half of the work.
template <bool kSymmetric, typename Counts>
GlcmFeatures FeaturesOfCounts(const Counts& counts) {
  GlcmFeatures f;
  if (counts.empty()) return f;
  const int levels = counts.level_count();
  const auto size = static_cast<std::size_t>(levels) + 1;
  const auto total = static_cast<double>(counts.total());
  std::vector<double> first(size), second(kSymmetric ? 0 : size), of_sum(2 * size),
      of_difference(size);
  double squares = 0, entropy = 0, maximum = 0, autocorrelation = 0;
  for (std::size_t row = 0; row < counts.levels().size(); ++row) {
    for (std::size_t column = 0; column <= row; ++column) {
      const auto n = counts.At(row, column), back = kSymmetric ? n : counts.At(column, row);
      if (n == 0 && back == 0) continue;
      const int i = counts.levels()[row], j = counts.levels()[column];
      // Of (i, j) and of (j, i), which is the same pair on the diagonal.
      const double p = static_cast<double>(n) / total,
                   q = i == j ? 0 : static_cast<double>(back) / total, both = p + q;
      const auto a = static_cast<std::size_t>(i), b = static_cast<std::size_t>(j);
      maximum = std::max({maximum, p, q});
      squares += p * p + q * q;
      entropy += kSymmetric ? EntropyTerm(p) * (i == j ? 1 : 2) : EntropyTerm(p) + EntropyTerm(q);
      autocorrelation += both * i * j;
      first[a] += p;
      first[b] += q;
      if constexpr (!kSymmetric) {
        second[b] += p;
        second[a] += q;
      }
      of_sum[a + b] += both;
      of_difference[a - b] += both;
    }
  }
  const Marginal of_first(first), of_second = kSymmetric ? of_first : Marginal(second);
  const double deviations = std::sqrt(of_first.variance) * std::sqrt(of_second.variance);
  f.joint_maximum = maximum;
  f.joint_average = of_first.mean;
  f.joint_variance = of_first.variance;
  f.joint_entropy = entropy;
  f.angular_second_moment = squares;
  f.autocorrelation = autocorrelation;
  f.correlation =
      deviations > 0 ? (autocorrelation - of_first.mean * of_second.mean) / deviations : kUndefined;

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
    const double p = of_sum[static_cast<std::size_t>(k)], d = k - of_first.mean - of_second.mean;
    tendency += d * d * p;
    shade += d * d * d * p;
    prominence += d * d * d * d * p;
  }
  f.sum_average = sum_average;
  f.sum_variance = f.cluster_tendency = tendency;  // the mean of i + j is the sum of their means
  f.sum_entropy = Entropy(of_sum);
  f.cluster_shade = shade;
  f.cluster_prominence = prominence;

  // HXY1 = -sum p(i,j) log2(p_i p_j) and HXY2 = -sum p_i p_j log2(p_i p_j) are both HX + HY.
  const double apart = of_first.entropy + of_second.entropy,
               most = std::max(of_first.entropy, of_second.entropy);
  f.information_correlation_1 = most > 0 ? (entropy - apart) / most : kUndefined;
  f.information_correlation_2 = std::sqrt(std::max(0.0, 1 - Exp(-2 * (apart - entropy))));
  return f;
}

// The levels (by their place in levels()) that some pair begins with, or ends with, the other way
// round, and the square roots of how many do.
struct Present {
  template <typename At>
  Present(std::size_t levels, const At& at) {
    for (std::size_t a = 0; a < levels; ++a) {
      double sum = 0;
      for (std::size_t b = 0; b < levels; ++b) sum += static_cast<double>(at(a, b));
      if (!(sum > 0)) continue;
      level.push_back(a);
      root.push_back(std::sqrt(sum));
    }
  }
  [[nodiscard]] Eigen::Index size() const { return static_cast<Eigen::Index>(level.size()); }
  std::vector<std::size_t> level;
  std::vector<double> root;
};

// How many eigenvalues of a symmetric tridiagonal matrix lie below each of `shifts`: the negative
// pivots of the matrix less the shift (Sturm's sequence).
constexpr std::size_t kShifts = 8;
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
void CountBelow(std::span<const double> diagonal, std::span<const double> squares_beside,
                const std::array<double, kShifts>& shifts, std::array<double, kShifts>& below) {
  constexpr double kLeast = 1e-290;  // a pivot of 0 is taken as a negative one as small
  double pivot[kShifts], count[kShifts] = {};
  for (std::size_t k = 0; k < kShifts; ++k) pivot[k] = 1;
  for (std::size_t i = 0; i < diagonal.size(); ++i) {
    const double beside = i == 0 ? 0 : squares_beside[i - 1], here = diagonal[i];
    for (std::size_t k = 0; k < kShifts; ++k) {
      const double next = here - shifts[k] - beside / pivot[k];
      pivot[k] = std::abs(next) < kLeast ? -kLeast : next;
      count[k] += pivot[k] < 0 ? 1 : 0;
    }
  }
  for (std::size_t k = 0; k < kShifts; ++k) below[k] = count[k];
}

// The eigenvalue with `rank` eigenvalues below it; all lie within [low, high]. Each look at eight
// places leaves a ninth of the interval.
double EigenvalueAt(double rank, std::span<const double> diagonal,
                    std::span<const double> squares_beside, double low, double high) {
  constexpr int kLooks = 17;  // 9^17 > 2^53
  for (int look = 0; look < kLooks; ++look) {
    std::array<double, kShifts> shifts{}, below{};
    for (std::size_t k = 0; k < kShifts; ++k)
      shifts[k] = low + (high - low) * static_cast<double>(k + 1) / (kShifts + 1);
    CountBelow(diagonal, squares_beside, shifts, below);
    for (std::size_t k = 0; k < kShifts; ++k) {
      if (below[k] > rank) {
        high = shifts[k];
        break;
      }
      low = shifts[k];
    }
  }
  return low + (high - low) / 2;
}

template <bool kSymmetric, typename Counts>
double MaximalCorrelation(const Counts& counts) {
  if (counts.empty()) return kUndefined;
  const std::size_t levels = counts.levels().size();
  const Present first(levels, [&](auto a, auto b) { return counts.At(a, b); });
  const Present second =
      kSymmetric ? first : Present(levels, [&](auto a, auto b) { return counts.At(b, a); });
  if (first.size() < 2 || second.size() < 2) return 0;
  Eigen::MatrixXd scaled(first.size(), second.size());
  for (Eigen::Index j = 0; j < second.size(); ++j) {
    for (Eigen::Index i = 0; i < first.size(); ++i) {
      const auto a = static_cast<std::size_t>(i), b = static_cast<std::size_t>(j);
      scaled(i, j) = static_cast<double>(counts.At(first.level[a], second.level[b])) /
                     (first.root[a] * second.root[b]);
    }
  }
  if constexpr (!kSymmetric) scaled = scaled * scaled.transpose();
  // Of the eigenvalues, -1 to 1, the largest is 1; wanted is the next in size, of either sign.
  const Eigen::Tridiagonalization<Eigen::MatrixXd> tridiagonal(scaled);
  const Eigen::VectorXd diagonal = tridiagonal.diagonal(),
                        squares_beside = tridiagonal.subDiagonal().cwiseAbs2();
  const auto n = static_cast<double>(first.size());
  const auto eigenvalue = [&](double rank) {
    constexpr double kBound = 1 + 1e-9;  // for rounding
    return EigenvalueAt(rank, {diagonal.data(), static_cast<std::size_t>(diagonal.size())},
                        {squares_beside.data(), static_cast<std::size_t>(squares_beside.size())},
                        -kBound, kBound);
  };
  const double size = std::max(std::abs(eigenvalue(0)), std::abs(eigenvalue(n - 2)));
  return kSymmetric ? size : std::sqrt(size);
}

}  // namespace

CooccurrenceCounts::CooccurrenceCounts(const LevelBox& levels, const Direction& direction,
                                       int distance, int z)
    : level_count_(levels.level_count()) {
  constexpr int kFew = 255;
  const std::vector<std::uint32_t> sizes = levels.level_sizes(-1);
  std::vector<std::size_t> place(sizes.size());  // of a level in the table
  for (int level = 1; level <= level_count_; ++level) {
    const auto at = static_cast<std::size_t>(level);
    if (level_count_ > kFew && sizes[at] == 0) continue;
    levels_.push_back(level);
    place[at] = levels_.size();
  }
  const std::size_t row = levels_.size() + 1;
  counts_.resize(row * row);
  const std::uint16_t* data = levels.data();
  const std::ptrdiff_t step = distance * levels.Step(direction);
  const auto voxels = z < 0 ? levels.voxels() : levels.voxels(z);
  // Pairs with a voxel outside the region land in column 0.
  if (level_count_ <= kFew) {
    for (const std::uint32_t at : voxels) ++counts_[data[at] * row + data[at + step]];
  } else {
    for (const std::uint32_t at : voxels) ++counts_[place[data[at]] * row + place[data[at + step]]];
  }
  for (std::size_t i = 1; i < row; ++i) {
    counts_[i * row] = 0;
    for (std::size_t j = 1; j < row; ++j) pairs_ += counts_[i * row + j];
  }
}

void CooccurrenceCounts::Add(const CooccurrenceCounts& other) {
  for (std::size_t k = 0; k < counts_.size(); ++k) counts_[k] += other.counts_[k];
  pairs_ += other.pairs_;
}

void WeightedCooccurrence::Add(const CooccurrenceCounts& counts, double weight, bool symmetric) {
  level_count_ = counts.level_count();
  levels_ = counts.levels();
  const std::size_t size = levels_.size();
  n_.resize(size * size);
  for (std::size_t a = 0; a < size; ++a) {
    for (std::size_t b = 0; b < size; ++b) {
      const auto n = static_cast<double>(symmetric ? counts.At(a, b) : counts.OneWay(a, b));
      n_[a * size + b] += weight * n;
      total_ += weight * n;
    }
  }
}

GlcmFeatures FeaturesOf(const CooccurrenceCounts& counts) { return FeaturesOfCounts<true>(counts); }
GlcmFeatures FeaturesOf(const WeightedCooccurrence& counts) {
  return FeaturesOfCounts<false>(counts);
}
double MaximalCorrelationOf(const CooccurrenceCounts& counts) {
  return MaximalCorrelation<true>(counts);
}
double MaximalCorrelationOf(const WeightedCooccurrence& counts) {
  return MaximalCorrelation<false>(counts);
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
