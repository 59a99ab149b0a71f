#include "engine/stability/mask_agreement.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/distance_map.h"
#include "engine/quantile.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

std::vector<std::array<double, 3>> CentresOf(const Mask& mask) {
  std::vector<std::array<double, 3>> centres;
  const auto& s = mask.grid.spacing_mm;
  for (int z = 0; z < mask.grid.size[2]; ++z) {
    for (int y = 0; y < mask.grid.size[1]; ++y) {
      for (int x = 0; x < mask.grid.size[0]; ++x) {
        if (mask.inside[mask.grid.Index(x, y, z)] != 0)
          centres.push_back({x * s[0], y * s[1], z * s[2]});
      }
    }
  }
  return centres;
}

double Squared(const std::array<double, 3>& a, const std::array<double, 3>& b) {
  double sum = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) sum += (a[axis] - b[axis]) * (a[axis] - b[axis]);
  return sum;
}

double NearestSquared(const std::array<double, 3>& from,
                      const std::vector<std::array<double, 3>>& to) {
  double nearest = std::numeric_limits<double>::infinity();
  for (const auto& one : to) nearest = std::min(nearest, Squared(from, one));
  return nearest;
}

RC_GTEST_PROP(DistanceMap, IsTheLeastOfAllDistances, (std::uint32_t seed)) {
  const double density = *rc::gen::inRange(0, 30) / 100.0;
  const Region region = RandomRegion(seed, {9, 8, 7}, density, {0.7, 1.3, 4.1});
  Mask everywhere{region.mask.grid, std::vector<std::uint8_t>(region.mask.inside.size(), 1)};
  const auto voxels = CentresOf(everywhere), inside = CentresOf(region.mask);
  const auto distances = SquaredDistancesTo(region.mask);
  for (std::size_t i = 0; i < voxels.size(); ++i) {
    const double expected = NearestSquared(voxels[i], inside);
    RC_ASSERT(distances[i] == expected || std::abs(distances[i] - expected) < 1e-9);
  }
}

RC_GTEST_PROP(MaskAgreement, IsThatOfTheSlowWay, (std::uint32_t seed)) {
  const Mask a = RandomRegion(seed, {9, 8, 7}, 0.5, {0.7, 1.3, 4.1}).mask,
             b = RandomRegion(seed + 1, {9, 8, 7}, 0.3, {0.7, 1.3, 4.1}).mask;
  const auto surface_a = CentresOf(SurfaceVoxels(a)), surface_b = CentresOf(SurfaceVoxels(b));
  std::vector<double> there, back;
  for (const auto& one : surface_a) there.push_back(std::sqrt(NearestSquared(one, surface_b)));
  for (const auto& one : surface_b) back.push_back(std::sqrt(NearestSquared(one, surface_a)));
  there = Ascending(there);
  back = Ascending(back);
  double sum = 0;
  for (const double one : there) sum += one;
  for (const double one : back) sum += one;
  const auto found = SurfaceDistancesOf(a, b), turned = SurfaceDistancesOf(b, a);
  RC_ASSERT(found.has_value() && turned.has_value());
  RC_ASSERT(std::abs(found->hausdorff_mm - std::max(there.back(), back.back())) < 1e-9);
  RC_ASSERT(std::abs(found->hausdorff_95_mm -
                     std::max(QuantileOf(there, 0.95), QuantileOf(back, 0.95))) < 1e-9);
  RC_ASSERT(std::abs(found->mean_mm - sum / static_cast<double>(there.size() + back.size())) <
            1e-9);
  RC_ASSERT(found->hausdorff_mm == turned->hausdorff_mm);
  const auto overlap = OverlapOf(a, b);
  RC_ASSERT(std::abs(overlap->jaccard - overlap->dice / (2 - overlap->dice)) < 1e-12);
}

// A box of 4 x 4 x 4 voxels, and it again two voxels along z.
TEST(MaskAgreement, OfABoxAndItsNeighbour) {
  const Grid grid{{10, 10, 10}, {1, 2, 3}};
  Mask a{grid, std::vector<std::uint8_t>(1000)}, b = a;
  for (int z = 2; z < 6; ++z) {
    for (int y = 2; y < 6; ++y) {
      for (int x = 2; x < 6; ++x) {
        a.inside[grid.Index(x, y, z)] = 1;
        b.inside[grid.Index(x, y, z + 2)] = 1;
      }
    }
  }
  EXPECT_EQ(OverlapOf(a, b)->dice, 0.5);
  EXPECT_NEAR(OverlapOf(a, b)->jaccard, 1.0 / 3, 1e-15);
  EXPECT_EQ(SurfaceDistancesOf(a, b)->hausdorff_mm, 6);
  const auto same = SurfaceDistancesOf(a, a);
  EXPECT_EQ(same->hausdorff_mm, 0);
  EXPECT_EQ(same->mean_mm, 0);
  EXPECT_EQ(OverlapOf(a, a)->dice, 1);
  EXPECT_EQ(CentresOf(SurfaceVoxels(a)).size(), 64U - 8);
}

TEST(MaskAgreement, SurfaceGoesAlongTheImagesBorder) {
  const Mask full{{{4, 4, 4}, {1, 1, 1}}, std::vector<std::uint8_t>(64, 1)};
  EXPECT_EQ(CentresOf(SurfaceVoxels(full)).size(), 64U - 8);
}

TEST(MaskAgreement, RefusesEmptyMasksAndOtherGrids) {
  const Mask empty{{{2, 2, 2}, {1, 1, 1}}, std::vector<std::uint8_t>(8)},
      full{{{2, 2, 2}, {1, 1, 1}}, std::vector<std::uint8_t>(8, 1)},
      other{{{2, 2, 2}, {1, 1, 2}}, std::vector<std::uint8_t>(8, 1)};
  EXPECT_EQ(OverlapOf(empty, empty).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(OverlapOf(empty, full)->dice, 0);
  EXPECT_EQ(OverlapOf(full, other).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(SurfaceDistancesOf(empty, full).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(SurfaceDistancesOf(full, other).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace consilium::engine
