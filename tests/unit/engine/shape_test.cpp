#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <set>
#include <string_view>

#include "engine/convex_hull.h"
#include "engine/local_intensity.h"
#include "engine/morphology.h"
#include "engine/spatial_correlation.h"
#include "engine/surface.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

Mask Ball(int radius, const std::array<double, 3>& spacing) {
  const int side = 2 * radius + 3;
  Mask mask{{{side, side, side}, spacing}, {}};
  for (int z = 0; z < side; ++z) {
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        const int dx = x - radius - 1, dy = y - radius - 1, dz = z - radius - 1;
        mask.inside.push_back(dx * dx + dy * dy + dz * dz <= radius * radius ? 1 : 0);
      }
    }
  }
  return mask;
}

TEST(Surface, OfOneVoxelIsAnOctahedron) {
  Mask mask{{{3, 3, 3}, {2, 2, 2}}, std::vector<std::uint8_t>(27)};
  mask.inside[13] = 1;
  const Surface surface = SurfaceOf(mask);
  EXPECT_NEAR(surface.volume_mm3, 4.0 / 3, 1e-12);
  EXPECT_NEAR(surface.area_mm2, 4 * std::sqrt(3), 1e-12);
  EXPECT_EQ(surface.outermost.size(), 6U);
  EXPECT_EQ(surface.low, (Point{1, 1, 1}));
  EXPECT_EQ(surface.high, (Point{3, 3, 3}));
}

TEST(Surface, OfABallIsNearlyThatOfASphere) {
  const Surface surface = SurfaceOf(Ball(20, {0.5, 0.5, 0.5}));
  const double sphere = 4 * std::numbers::pi * 10 * 10;
  EXPECT_NEAR(surface.volume_mm3 / (sphere * 10 / 3), 1, 0.01);
  EXPECT_NEAR(surface.area_mm2 / sphere, 1, 0.1);
  EXPECT_NEAR(DiameterOf(surface.outermost), 20.5, 1e-9);
}

// A mesh with a hole would enclose another volume from another place.
TEST(Surface, IsClosedWhateverTheRegion) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Region region = RandomRegion(seed, {8, 7, 6}, 0.1 + 0.02 * static_cast<double>(seed));
    Mask moved{{{18, 16, 11}, region.mask.grid.spacing_mm},
               std::vector<std::uint8_t>(18 * 16 * 11)};
    for (int z = 0; z < 6; ++z) {
      for (int y = 0; y < 7; ++y) {
        for (int x = 0; x < 8; ++x)
          moved.inside[moved.grid.Index(x + 9, y + 8, z + 4)] =
              region.mask.inside[region.mask.grid.Index(x, y, z)];
      }
    }
    const Surface here = SurfaceOf(region.mask), there = SurfaceOf(moved);
    EXPECT_NEAR(there.volume_mm3, here.volume_mm3, 1e-9 * (1 + here.volume_mm3)) << seed;
    EXPECT_NEAR(there.area_mm2, here.area_mm2, 1e-9 * (1 + here.area_mm2)) << seed;
    EXPECT_GE(here.volume_mm3, 0) << seed;
  }
}

TEST(ConvexHull, OfACubesCornersAndAPointInside) {
  std::vector<Point> points = {{1, 1, 1}};
  for (int c = 0; c < 8; ++c)
    points.push_back({2.0 * (c & 1), 2.0 * (c >> 1 & 1), 2.0 * (c >> 2 & 1)});
  const auto hull = ConvexHullOf(points);
  ASSERT_TRUE(hull.has_value());
  EXPECT_NEAR(hull->volume_mm3, 8, 1e-12);
  EXPECT_NEAR(hull->area_mm2, 24, 1e-12);
  EXPECT_EQ(hull->vertices.size(), 8U);
  points = {{0, 0, 0}, {2, 0, 0}, {0, 2, 0}, {2, 2, 0}};
  EXPECT_EQ(ConvexHullOf(points).error().code, ErrorCode::kInvalidArgument) << "flat";
  EXPECT_EQ(ConvexHullOf({}).error().code, ErrorCode::kInvalidArgument);
}

TEST(Surface, ItsOutermostVerticesHaveTheHullAndTheDiameterOfAll) {
  const Region region = RandomRegion(7, {14, 12, 9}, 0.3);
  const Surface surface = SurfaceOf(region.mask);
  std::vector<Point> all;  // half-way from every voxel inside to every neighbour outside
  const auto& grid = region.mask.grid;
  for (int z = 1; z < 8; ++z) {
    for (int y = 1; y < 11; ++y) {
      for (int x = 1; x < 13; ++x) {
        if (region.mask.inside[grid.Index(x, y, z)] == 0) continue;
        for (const Direction& d : {Direction{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}) {
          for (const int sign : {-1, 1}) {
            if (region.mask.inside[grid.Index(x + sign * d.x, y + sign * d.y, z + sign * d.z)] != 0)
              continue;
            all.push_back({(x + sign * d.x * 0.5) * grid.spacing_mm[0],
                           (y + sign * d.y * 0.5) * grid.spacing_mm[1],
                           (z + sign * d.z * 0.5) * grid.spacing_mm[2]});
          }
        }
      }
    }
  }
  EXPECT_LT(surface.outermost.size(), all.size());
  EXPECT_DOUBLE_EQ(DiameterOf(surface.outermost), DiameterOf(all));
  const auto some = ConvexHullOf(surface.outermost), every = ConvexHullOf(all);
  ASSERT_TRUE(some && every);
  EXPECT_NEAR(some->volume_mm3, every->volume_mm3, 1e-9);
  EXPECT_NEAR(some->area_mm2, every->area_mm2, 1e-9);
  EXPECT_DOUBLE_EQ(DiameterOf(some->vertices), DiameterOf(all));
}

TEST(Morphology, DoesNotChangeWhenTheAxesAreExchanged) {
  const Region region = RandomRegion(3, {11, 9, 8}, 0.6);
  const auto shape = Morphology(region.image, region.mask, region.mask);
  ASSERT_TRUE(shape.has_value());
  for (const std::array<std::size_t, 3>& order :
       {std::array<std::size_t, 3>{1, 2, 0}, {2, 1, 0}, {1, 0, 2}}) {
    const Region turned = Turned(region, order);
    const auto again = Morphology(turned.image, turned.mask, turned.mask);
    ASSERT_TRUE(again.has_value());
    std::vector<double> ours, theirs;
    MorphologyFeatures::Visit(*shape, [&](const FeatureName&, double x) { ours.push_back(x); });
    std::size_t next = 0;
    MorphologyFeatures::Visit(*again, [&](const FeatureName& name, double x) {
      // What needs the mesh: a loop may have other triangles of the same sum of areas.
      static const std::set<std::string_view> kOfNoMesh = {
          "volume_voxels",     "centre_of_mass_shift",
          "maximum_diameter",  "major_axis_length",
          "minor_axis_length", "least_axis_length",
          "elongation",        "flatness",
          "morans_i",          "gearys_c"};
      const bool of_an_axis = name.name.starts_with("maximum_diameter_");
      const double loose = kOfNoMesh.contains(name.name) ? 1e-9 : 2e-2;
      if (!of_an_axis) {
        EXPECT_NEAR(x, ours[next], loose * std::abs(ours[next])) << name.name;
      }
      ++next;
    });
  }
}

TEST(Morphology, RefusesAnEmptyRegionAndOtherGrids) {
  Region region = RandomRegion(3, {5, 5, 5}, 0.6);
  Mask other = region.mask;
  other.grid.spacing_mm[2] = 3;
  EXPECT_EQ(Morphology(region.image, region.mask, other).error().code, ErrorCode::kInvalidArgument);
  Mask empty = region.mask;
  empty.inside.assign(empty.inside.size(), 0);
  EXPECT_EQ(Morphology(region.image, empty, empty).error().code, ErrorCode::kInvalidArgument);
}

TEST(SpatialCorrelation, ByTransformIsWhatAllPairsGive) {
  const Region region = RandomRegion(11, {24, 20, 16}, 0.75);
  struct Voxel {
    double x, y, z, value;
  };
  std::vector<Voxel> voxels;
  std::size_t at = 0;
  double mean = 0;
  for (int z = 0; z < 16; ++z) {
    for (int y = 0; y < 20; ++y) {
      for (int x = 0; x < 24; ++x, ++at) {
        if (region.mask.inside[at] == 0) continue;
        voxels.push_back({x * 1.0, y * 1.5, z * 4.0, region.image.values[at]});
        mean += region.image.values[at];
      }
    }
  }
  ASSERT_GT(voxels.size(), 3000U) << "few voxels are summed pair by pair";
  const auto n = static_cast<double>(voxels.size());
  mean /= n;
  double weights = 0, products = 0, squares = 0, spread = 0;
  for (const Voxel& a : voxels) {
    spread += (a.value - mean) * (a.value - mean);
    for (const Voxel& b : voxels) {
      if (&a == &b) continue;
      const double w = 1 / std::hypot(a.x - b.x, a.y - b.y, a.z - b.z);
      weights += w;
      products += w * (a.value - mean) * (b.value - mean);
      squares += w * (a.value - b.value) * (a.value - b.value);
    }
  }
  const SpatialCorrelation ours = SpatialCorrelationOf(region.image, region.mask);
  EXPECT_NEAR(ours.morans_i, n / weights * products / spread, 1e-10);
  EXPECT_NEAR(ours.gearys_c, (n - 1) / (2 * weights) * squares / spread, 1e-10);
}

TEST(LocalIntensity, OfAFlatImageIsItsIntensityAndReachesBeyondTheMask) {
  Region region = RandomRegion(5, {9, 9, 9}, 0.5, {2, 2, 2});
  region.image.values.Doubles().assign(region.image.values.size(), 7);
  const LocalIntensityFeatures flat = LocalIntensity(region.image, region.mask);
  EXPECT_DOUBLE_EQ(flat.local_peak, 7);
  EXPECT_DOUBLE_EQ(flat.global_peak, 7);
  // One bright voxel outside the mask, beside the only one inside.
  region.mask.inside.assign(region.mask.inside.size(), 0);
  region.mask.inside[region.mask.grid.Index(4, 4, 4)] = 1;
  region.image.values.Doubles()[region.mask.grid.Index(5, 4, 4)] = 130;
  EXPECT_DOUBLE_EQ(LocalIntensity(region.image, region.mask).local_peak, 7 + 123.0 / 123)
      << "123 voxels of 2 mm lie within 6.2 mm";
}

}  // namespace
}  // namespace consilium::engine
