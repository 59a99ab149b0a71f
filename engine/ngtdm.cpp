#include "engine/ngtdm.h"

#include <algorithm>
#include <cmath>

#include "engine/vector_clones.h"

namespace consilium::engine {
namespace {

constexpr double kCoarsest = 1e6;  // IBSI: where the sum of p s is 0

CONSILIUM_VECTOR_CLONES("avx2")
void AddLevels(const std::uint16_t* levels, std::size_t length, std::uint32_t* __restrict sums,
               std::uint32_t* __restrict neighbours) {
  for (std::size_t i = 0; i < length; ++i) {
    sums[i] += levels[i];
    neighbours[i] += levels[i] != 0;
  }
}

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
  DifferenceCounts counts{std::vector<std::uint64_t>(size), std::vector<double>(size)};
  const std::uint16_t* data = levels.data();
  std::vector<std::uint32_t> sums, neighbours;
  ForEachStretch(z < 0 ? levels.voxels() : levels.voxels(z),
                 [&](std::size_t begin, std::size_t length, const auto& inside) {
                   sums.assign(length, 0);
                   neighbours.assign(length, 0);
                   for (const std::ptrdiff_t step : steps)
                     AddLevels(data + begin + step, length, sums.data(), neighbours.data());
                   for (const std::uint32_t at : inside) {
                     const std::uint32_t of = neighbours[at - begin];
                     if (of == 0) continue;
                     const std::uint16_t level = data[at];
                     ++counts.n[level];
                     counts.s[level] +=
                         std::abs(level - static_cast<double>(sums[at - begin]) / of);
                   }
                 });
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
