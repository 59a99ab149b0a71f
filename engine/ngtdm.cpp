#include "engine/ngtdm.h"

#include <algorithm>
#include <cmath>

#include "engine/vector_clones.h"

namespace consilium::engine {
namespace {

constexpr double kCoarsest = 1e6;  // IBSI: where the sum of p s is 0

// Sums of the neighbours' levels, which fit into 16 bits, and how many neighbours there are.
CONSILIUM_VECTOR_CLONES("arch=x86-64-v4", "avx2")
void SumNeighbours(const std::uint16_t* levels, std::span<const std::ptrdiff_t> steps,
                   std::size_t length, std::uint16_t* sums, std::uint16_t* neighbours) {
  OverNeighbours<Levels>(
      levels, steps, length, sums,
      [](const Levels&, const Levels& other, Levels& sum)
          __attribute__((always_inline)) { sum += other; });
  OverNeighbours<Levels>(
      levels, steps, length, neighbours,
      [](const Levels&, const Levels& other, Levels& count)
          __attribute__((always_inline)) { count += (other != 0) & 1; });
}

// The same of as many neighbours as there are: of so many at once that 16 bits are enough.
class Neighbours {
 public:
  Neighbours(std::span<const std::ptrdiff_t> steps, int level_count)
      : steps_(steps),
        at_once_(static_cast<std::size_t>(kGreyLevelsMax / std::max(level_count, 1))) {}

  void Take(const std::uint16_t* levels, std::size_t length) {
    sums_.assign(length, 0);
    counts_.assign(length, 0);
    some_sums_.resize(length);
    some_counts_.resize(length);
    for (std::size_t first = 0; first < steps_.size(); first += at_once_) {
      const auto some = steps_.subspan(first, std::min(at_once_, steps_.size() - first));
      SumNeighbours(levels, some, length, some_sums_.data(), some_counts_.data());
      for (std::size_t i = 0; i < length; ++i) {
        sums_[i] += some_sums_[i];
        counts_[i] += some_counts_[i];
      }
    }
  }
  [[nodiscard]] std::uint32_t sum(std::size_t i) const { return sums_[i]; }
  [[nodiscard]] std::uint32_t count(std::size_t i) const { return counts_[i]; }

 private:
  std::span<const std::ptrdiff_t> steps_;
  std::size_t at_once_;
  std::vector<std::uint32_t> sums_, counts_;
  std::vector<std::uint16_t> some_sums_, some_counts_;
};

}  // namespace

bool DifferenceCounts::empty() const {
  return std::all_of(n.begin(), n.end(), [](std::uint64_t count) { return count == 0; });
}

void DifferenceCounts::Add(const DifferenceCounts& other) {
  for (std::size_t i = 0; i < n.size(); ++i) {
    n[i] += other.n[i];
    s[i] += other.s[i];
  }
}

DifferenceCounts CountDifferences(const LevelBox& levels, std::span<const std::ptrdiff_t> steps,
                                  int z) {
  const auto size = static_cast<std::size_t>(levels.level_count()) + 1;
  const std::uint16_t* data = levels.data();
  // By level and by number of neighbours: the sum of their differences from the level. Whole
  // numbers are exact in any order, and divided once.
  const std::size_t row = steps.size() + 1;
  struct Differences {
    std::uint64_t voxels = 0, sum = 0;
  };
  std::vector<Differences> differences(size * row);
  Neighbours neighbours(steps, levels.level_count());
  ForEachStretch(
      z < 0 ? levels.voxels() : levels.voxels(z),
      [&](std::size_t begin, std::size_t length, const auto& inside) {
        neighbours.Take(data + begin, length);
        for (const std::uint32_t at : inside) {
          const std::int64_t of = neighbours.count(at - begin), level = data[at];
          auto& [voxels, sum] =
              differences[static_cast<std::size_t>(level) * row + static_cast<std::size_t>(of)];
          ++voxels;
          sum += static_cast<std::uint64_t>(std::abs(level * of - neighbours.sum(at - begin)));
        }
      });
  DifferenceCounts counts{std::vector<std::uint64_t>(size), std::vector<double>(size)};
  for (std::size_t level = 1; level < size; ++level) {
    for (std::size_t of = 1; of < row; ++of) {  // without neighbours there is no difference
      const auto& [voxels, sum] = differences[level * row + of];
      counts.n[level] += voxels;
      counts.s[level] += static_cast<double>(sum) / static_cast<double>(of);
    }
  }
  return counts;
}

NgtdmFeatures FeaturesOf(const DifferenceCounts& counts) {
  NgtdmFeatures f;
  if (counts.empty()) return f;
  double voxels = 0;
  for (const std::uint64_t n : counts.n) voxels += static_cast<double>(n);
  struct Level {
    double i, p, s;
  };
  std::vector<Level> levels;
  double p_s = 0, s_sum = 0;
  for (std::size_t i = 1; i < counts.n.size(); ++i) {
    if (counts.n[i] == 0) continue;
    const double p = static_cast<double>(counts.n[i]) / voxels;
    levels.push_back({static_cast<double>(i), p, counts.s[i]});
    p_s += p * counts.s[i];
    s_sum += counts.s[i];
  }
  double spread = 0, busy = 0, complexity = 0, strength = 0;
  for (const Level& a : levels) {
    for (const Level& b : levels) {
      const double d = a.i - b.i;
      spread += a.p * b.p * d * d;
      busy += std::abs(a.i * a.p - b.i * b.p);
      complexity += std::abs(d) * (a.p * a.s + b.p * b.s) / (a.p + b.p);
      strength += (a.p + b.p) * d * d;
    }
  }
  const auto present = static_cast<double>(levels.size());
  f.coarseness = p_s > 0 ? 1 / p_s : kCoarsest;
  f.contrast = present > 1 ? spread / (present * (present - 1)) * s_sum / voxels : 0;
  f.busyness = present > 1 && busy > 0 ? p_s / busy : 0;
  f.complexity = complexity / voxels;
  f.strength = s_sum > 0 ? strength / s_sum : 0;
  return f;
}

NgtdmFeatures Ngtdm(const LevelBox& levels, Aggregation how, int distance) {
  return AggregateFeatures(
      CountBySlice<DifferenceCounts>(levels, how,
                                     [&](int z) {
                                       const auto steps = NeighbourSteps(levels, distance, z >= 0);
                                       return CountDifferences(levels, steps, z);
                                     }),
      how, [](const DifferenceCounts& one) { return FeaturesOf(one); });
}

}  // namespace consilium::engine
