#include <gtest/gtest.h>

#include <vector>

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
  region.image.values.assign(region.image.values.size(), 1);
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
