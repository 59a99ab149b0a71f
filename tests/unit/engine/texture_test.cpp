#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "engine/components.h"
#include "engine/glcm.h"
#include "engine/ngtdm.h"
#include "engine/runs_and_zones.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

double Sum(const SizeCounts& counts, bool times_number) {
  double sum = 0;
  for (const auto& entry : counts.entries()) sum += entry.count * (times_number ? entry.number : 1);
  return sum;
}

TEST(Textures, CountEveryVoxelOnce) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Region region = RandomRegion(seed, {9, 8, 7}, 0.05 + 0.045 * static_cast<double>(seed));
    if (region.inside().empty()) continue;
    const LevelBox box(region.mask, LevelsAsTheyAre(region));
    for (int z = -1; z < box.size()[2]; ++z) {
      const auto voxels = static_cast<double>(z < 0 ? box.voxels().size() : box.voxels(z).size());
      for (const Direction& direction : z < 0 ? Directions3d() : Directions2d())
        EXPECT_EQ(Sum(RunCounts(box, direction, z), true), voxels);
      const ZoneCounts zones = CountZones(box, z, BorderDistances(box, region.mask, z));
      EXPECT_EQ(Sum(zones.by_size, true), voxels);
      EXPECT_EQ(Sum(zones.by_distance, false), Sum(zones.by_size, false));
      EXPECT_EQ(Sum(DependenceCounts(box, NeighbourSteps(box, 1, z >= 0), 0, z), false), voxels);
    }
  }
}

// Every matrix counted the slow way, from the mask's own grid.
class Slow {
 public:
  Slow(const Mask& mask, const GreyLevels& levels) : grid_(mask.grid) {
    level_.resize(mask.inside.size());
    std::size_t next = 0;
    for (std::size_t i = 0; i < level_.size(); ++i)
      level_[i] = mask.inside[i] == 0 ? 0 : levels.levels[next++];
  }
  [[nodiscard]] int At(int x, int y, int z) const {
    const auto& size = grid_.size;
    const bool in = x >= 0 && y >= 0 && z >= 0 && x < size[0] && y < size[1] && z < size[2];
    return in ? level_[grid_.Index(x, y, z)] : 0;
  }
  template <typename Visit>
  void ForEachVoxel(const Visit& visit) const {
    for (int z = 0; z < grid_.size[2]; ++z) {
      for (int y = 0; y < grid_.size[1]; ++y) {
        for (int x = 0; x < grid_.size[0]; ++x) {
          if (At(x, y, z) != 0) visit(x, y, z);
        }
      }
    }
  }
  using Pairs = std::map<std::pair<int, int>, double>;
  [[nodiscard]] Pairs Cooccurrence(const Direction& d) const {
    Pairs pairs;
    ForEachVoxel([&](int x, int y, int z) {
      const int there = At(x + d.x, y + d.y, z + d.z);
      if (there == 0) return;
      ++pairs[{At(x, y, z), there}];
      ++pairs[{there, At(x, y, z)}];
    });
    return pairs;
  }
  [[nodiscard]] Pairs Runs(const Direction& d) const {
    Pairs runs;
    ForEachVoxel([&](int x, int y, int z) {
      const int level = At(x, y, z);
      if (At(x - d.x, y - d.y, z - d.z) == level) return;
      int length = 1;
      while (At(x + length * d.x, y + length * d.y, z + length * d.z) == level) ++length;
      ++runs[{level, length}];
    });
    return runs;
  }
  // Of each level's own mask, by another algorithm.
  [[nodiscard]] Pairs Zones() const {
    Pairs zones;
    for (const int level : std::set<int>(level_.begin(), level_.end())) {
      if (level == 0) continue;
      Mask alone{grid_, {}};
      for (const int one : level_) alone.inside.push_back(one == level ? 1 : 0);
      for (const std::size_t voxels : ComponentsOf(alone).voxels)
        ++zones[{level, static_cast<int>(voxels)}];
    }
    return zones;
  }
  [[nodiscard]] Pairs Dependences(int alpha) const {
    Pairs counts;
    ForEachVoxel([&](int x, int y, int z) {
      int dependent = 1;
      ForEachNeighbour(
          x, y, z, [&](int there) { dependent += std::abs(there - At(x, y, z)) <= alpha ? 1 : 0; });
      ++counts[{At(x, y, z), dependent}];
    });
    return counts;
  }
  // Level: voxels with neighbours, and the sum of their differences from the neighbours' mean.
  [[nodiscard]] std::map<int, std::pair<double, double>> Differences() const {
    std::map<int, std::pair<double, double>> differences;
    ForEachVoxel([&](int x, int y, int z) {
      double sum = 0, count = 0;
      ForEachNeighbour(x, y, z, [&](int there) {
        sum += there;
        ++count;
      });
      if (count == 0) return;
      auto& [voxels, of_level] = differences[At(x, y, z)];
      ++voxels;
      of_level += std::abs(At(x, y, z) - sum / count);
    });
    return differences;
  }

 private:
  template <typename Visit>
  void ForEachNeighbour(int x, int y, int z, const Visit& visit) const {
    for (int k = -1; k <= 1; ++k) {
      for (int j = -1; j <= 1; ++j) {
        for (int i = -1; i <= 1; ++i) {
          const int there = At(x + i, y + j, z + k);
          if ((i != 0 || j != 0 || k != 0) && there != 0) visit(there);
        }
      }
    }
  }
  Grid grid_;
  std::vector<int> level_;
};

Slow::Pairs PairsOf(const SizeCounts& counts) {
  Slow::Pairs pairs;
  for (const auto& entry : counts.entries()) {
    pairs[{static_cast<int>(entry.level), static_cast<int>(entry.number)}] = entry.count;
  }
  return pairs;
}

// Rows longer and shorter than what is counted at once, smooth and noisy, levels few, far apart,
// and so high that sums of neighbours need more than 16 bits.
TEST(Textures, AreThoseThatAreCountedTheSlowWay) {
  const std::vector<std::vector<std::uint16_t>> scales = {
      {1, 2, 3, 4, 5}, {7, 300, 301, 4000, 65535}, {1, 1, 1, 1, 2}, {60000, 65535, 65534, 1, 2}};
  for (std::uint64_t seed = 0; seed < 24; ++seed) {
    const std::array<int, 3> size =
        std::vector<std::array<int, 3>>{{9, 8, 7}, {150, 5, 4}, {4, 40, 6}, {70, 30, 3}}[seed % 4];
    const auto& scale = scales[seed / 4 % 4];
    const Region region = RandomRegion(seed, size, seed < 12 ? 0.95 : 0.4);
    GreyLevels levels;
    for (const double x : region.inside())
      levels.levels.push_back(scale[static_cast<std::size_t>(x) - 1]);
    levels.count = *std::max_element(levels.levels.begin(), levels.levels.end());
    const LevelBox box(region.mask, levels);
    const Slow slow(region.mask, levels);
    for (const Direction& direction : Directions3d()) {
      EXPECT_EQ(PairsOf(RunCounts(box, direction)), slow.Runs(direction)) << seed;
      const CooccurrenceCounts counts(box, direction, 1);
      Slow::Pairs pairs;
      for (std::size_t a = 0; a < counts.levels().size(); ++a) {
        for (std::size_t b = 0; b < counts.levels().size(); ++b) {
          if (counts.At(a, b) > 0) {
            pairs[{counts.levels()[a], counts.levels()[b]}] = static_cast<double>(counts.At(a, b));
          }
        }
      }
      EXPECT_EQ(pairs, slow.Cooccurrence(direction)) << seed;
    }
    EXPECT_EQ(PairsOf(CountZones(box, -1, {}).by_size), slow.Zones()) << seed;
    const auto steps = NeighbourSteps(box, 1, false);
    for (const int alpha : {0, 1, 400})
      EXPECT_EQ(PairsOf(DependenceCounts(box, steps, alpha)), slow.Dependences(alpha)) << seed;
    const DifferenceCounts differences = CountDifferences(box, steps);
    const auto expected = slow.Differences();
    for (std::size_t level = 1; level < differences.n.size(); ++level) {
      const auto at = expected.find(static_cast<int>(level));
      const auto [voxels, sum] = at == expected.end() ? std::pair(0.0, 0.0) : at->second;
      ASSERT_EQ(static_cast<double>(differences.n[level]), voxels) << seed;
      ASSERT_NEAR(differences.s[level], sum, 1e-10 * sum) << seed;
    }
  }
}

// In the volume no direction is another than the others, once all are added up.
TEST(Textures, MergedInTheVolumeDoNotChangeWhenTheAxesAreExchanged) {
  const Region region = RandomRegion(3, {9, 8, 7}, 0.7);
  const Region turned = Turned(region, {2, 0, 1});
  const LevelBox here(region.mask, LevelsAsTheyAre(region)),
      there(turned.mask, LevelsAsTheyAre(turned));
  std::vector<double> a, b;
  const auto into = [](std::vector<double>& all) {
    return [&all](const FeatureName&, double value) { all.push_back(value); };
  };
  for (const auto& [box, mask, all] :
       {std::tuple(&here, &region.mask, &a), std::tuple(&there, &turned.mask, &b)}) {
    GlcmFeatures::Visit(Glcm(*box, Aggregation::k3dMerge), into(*all));
    SizeFeatures::Visit(Glrlm(*box, Aggregation::k3dMerge), into(*all));
    const ZoneFeatures zones = ZonesOf(*box, *mask, Aggregation::k3dMerge);
    SizeFeatures::Visit(zones.glszm, into(*all));
    SizeFeatures::Visit(zones.gldzm, into(*all));
    SizeFeatures::Visit(Ngldm(*box, Aggregation::k3dMerge), into(*all));
    NgtdmFeatures::Visit(Ngtdm(*box, Aggregation::k3dMerge), into(*all));
  }
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-12 * std::abs(a[i])) << i;
}

TEST(Textures, OfAFlatRegion) {
  Region region = RandomRegion(3, {6, 6, 6}, 1);
  region.image.values.Doubles().assign(region.image.values.size(), 1);
  const LevelBox box(region.mask, LevelsAsTheyAre(region));
  const GlcmFeatures glcm = Glcm(box, Aggregation::k3dAverage);
  EXPECT_EQ(glcm.joint_entropy, 0);
  EXPECT_EQ(glcm.contrast, 0);
  EXPECT_TRUE(std::isnan(glcm.correlation));
  EXPECT_EQ(Ngtdm(box, Aggregation::k3dMerge).coarseness, 1e6);
  const ZoneFeatures zones = ZonesOf(box, region.mask, Aggregation::k3dMerge);
  EXPECT_DOUBLE_EQ(zones.glszm.percentage, 1.0 / 64);
  EXPECT_DOUBLE_EQ(zones.gldzm.large_emphasis, 1);
}

TEST(Textures, OfOneVoxelHaveNoPairsAndNoNeighbours) {
  Region region = RandomRegion(3, {3, 3, 3}, 1);
  const LevelBox box(region.mask, LevelsAsTheyAre(region));
  ASSERT_EQ(box.voxels().size(), 1U);
  EXPECT_TRUE(std::isnan(Glcm(box, Aggregation::k3dAverage).contrast));
  EXPECT_TRUE(std::isnan(Ngtdm(box, Aggregation::k3dMerge).contrast));
  EXPECT_EQ(Glrlm(box, Aggregation::k2dAverage).small_emphasis, 1);
}

// Distances are to the border of the region as it was drawn: a hole in the intensities is none.
TEST(BorderDistances, AreThoseOfTheMaskTheyAreGiven) {
  Mask whole{{{7, 7, 7}, {1, 1, 1}}, std::vector<std::uint8_t>(343)};
  for (int z = 1; z < 6; ++z) {
    for (int y = 1; y < 6; ++y) {
      for (int x = 1; x < 6; ++x) whole.inside[whole.grid.Index(x, y, z)] = 1;
    }
  }
  Mask holed = whole;
  holed.inside[whole.grid.Index(3, 3, 3)] = 0;
  const LevelBox box(holed, {std::vector<std::uint16_t>(124, 1), 1});
  const auto to_drawn = BorderDistances(box, whole, -1), to_hole = BorderDistances(box, holed, -1);
  EXPECT_EQ(std::count(to_drawn.begin(), to_drawn.end(), 2U), 26);
  EXPECT_EQ(std::count(to_drawn.begin(), to_drawn.end(), 1U), 98);
  EXPECT_EQ(std::count(to_hole.begin(), to_hole.end(), 1U), 98 + 6);
}

}  // namespace
}  // namespace consilium::engine
