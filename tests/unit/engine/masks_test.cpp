// Masks from polygons, from labels and from other grids.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/rng.h"
#include "engine/labels.h"
#include "engine/polygon_mask.h"
#include "engine/reconcile.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

std::size_t Count(const std::vector<std::uint8_t>& inside) {
  std::size_t count = 0;
  for (const auto one : inside) count += one;
  return count;
}

PlanarMask Drawn(const std::vector<std::vector<PlanarPoint>>& polygons, int size_x = 12,
                 int size_y = 10) {
  PlanarMask mask{size_x, size_y, {}};
  mask.inside.resize(static_cast<std::size_t>(size_x) * static_cast<std::size_t>(size_y));
  for (const auto& polygon : polygons) TurnOverInside(polygon, mask);
  return mask;
}

std::vector<PlanarPoint> Rectangle(double left, double top, double right, double bottom) {
  return {{left, top}, {right, top}, {right, bottom}, {left, bottom}};
}

TEST(PolygonMask, HasTheVoxelsWhoseCentresAreInside) {
  const PlanarMask mask = Drawn({Rectangle(1.5, 2.5, 4.4, 3.6)});
  EXPECT_EQ(Count(mask.inside), 3U);
  for (const int x : {2, 3, 4}) EXPECT_EQ(mask.inside[static_cast<std::size_t>(3 * 12 + x)], 1);
}

TEST(PolygonMask, OfTwoPolygonsWithACommonEdgeGivesEveryCentreToOne) {
  const auto left = Drawn({Rectangle(1, 1, 5, 7)}), right = Drawn({Rectangle(5, 1, 9, 7)});
  EXPECT_EQ(Count(left.inside), 24U);
  EXPECT_EQ(Count(right.inside), 24U);
  EXPECT_EQ(Drawn({Rectangle(1, 1, 5, 7), Rectangle(5, 1, 9, 7)}).inside,
            Drawn({Rectangle(1, 1, 9, 7)}).inside);
}

TEST(PolygonMask, InAnotherIsAHoleAndAKeyholeIsTheSame) {
  const auto two = Drawn({Rectangle(0.5, 0.5, 9.5, 8.5), Rectangle(2.5, 2.5, 6.5, 5.5)});
  EXPECT_EQ(Count(two.inside), 72U - 12U);
  const auto keyhole = Drawn({{{0.5, 0.5},
                               {9.5, 0.5},
                               {9.5, 8.5},
                               {0.5, 8.5},
                               {0.5, 3.5},
                               {2.5, 3.5},
                               {2.5, 5.5},
                               {6.5, 5.5},
                               {6.5, 2.5},
                               {2.5, 2.5},
                               {2.5, 3.5},
                               {0.5, 3.5}}});
  EXPECT_EQ(two.inside, keyhole.inside);
}

// The angle that a polygon turns about a point is another road to inside and outside.
TEST(PolygonMask, OfAnySimplePolygonAgreesWithTheWindingNumber) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Rng rng(seed, "polygon");
    std::vector<PlanarPoint> star;
    for (int i = 0; i < 17; ++i) {
      const double angle = 2 * std::numbers::pi * i / 17, radius = 1 + 6 * rng.Uniform();
      star.push_back({5.3 + radius * std::cos(angle), 4.6 + radius * std::sin(angle)});
    }
    const PlanarMask mask = Drawn({star});  // partly beyond the slice
    for (int y = 0; y < 10; ++y) {
      for (int x = 0; x < 12; ++x) {
        double turned = 0;
        for (std::size_t i = 0; i < star.size(); ++i) {
          const double ax = star[i].x - x, ay = star[i].y - y;
          const double bx = star[(i + 1) % 17].x - x, by = star[(i + 1) % 17].y - y;
          turned += std::atan2(ax * by - ay * bx, ax * bx + ay * by);
        }
        EXPECT_EQ(mask.inside[static_cast<std::size_t>(y * 12 + x)], std::abs(turned) > 1 ? 1 : 0)
            << "seed " << seed << " at " << x << ", " << y;
      }
    }
  }
}

TEST(PolygonMask, OfFewerThanThreePointsOrBesideTheSliceIsEmpty) {
  EXPECT_EQ(Count(Drawn({{{1, 1}, {8, 8}}}).inside), 0U);
  EXPECT_EQ(Count(Drawn({Rectangle(-9, -9, -1, -1), Rectangle(20, 20, 30, 30)}).inside), 0U);
  EXPECT_EQ(Count(Drawn({Rectangle(-1e300, -1e300, 1e300, 1e300)}).inside), 120U);
}

TEST(Labels, AreListedWithTheirVoxels) {
  const Image map{{{5, 1, 1}, {1, 1, 1}}, {0, 7, 7, -2, 7}};
  const auto labels = LabelsOf(map);
  ASSERT_TRUE(labels.has_value());
  EXPECT_EQ(*labels, (std::vector<Label>{{-2, 1}, {7, 3}}));
  EXPECT_EQ(MaskOf(map, 7).inside, (std::vector<std::uint8_t>{0, 1, 1, 0, 1}));
}

TEST(Labels, AreWholeNumbersAndNotTooMany) {
  Image map{{{2, 1, 1}, {1, 1, 1}}, {1, 1.5}};
  EXPECT_EQ(LabelsOf(map).error().code, ErrorCode::kInvalidArgument);
  map.values = {1, std::nan("")};
  EXPECT_EQ(LabelsOf(map).error().code, ErrorCode::kInvalidArgument);
  map.values.Doubles().clear();
  for (std::size_t i = 0; i <= kLabelsMax; ++i)
    map.values.Doubles().push_back(static_cast<double>(i));
  EXPECT_EQ(LabelsOf(map)->size(), kLabelsMax);
  map.values.Doubles().push_back(static_cast<double>(kLabelsMax + 1));
  EXPECT_EQ(LabelsOf(map).error().code, ErrorCode::kResourceExhausted);
}

const Grid kGrid{{8, 7, 6}, {1, 1.5, 4}};
// A rotation about z by the angle whose cosine is 0.8, and a tilt to the second axis by the same.
const Place kPlace{{-40, 30, 12}, {{{0.8, 0.6, 0}, {-0.48, 0.64, 0.6}, {0.36, -0.48, 0.8}}}};

PlacedMask SomeMask(std::uint64_t seed = 3) {
  return {RandomRegion(seed, kGrid.size, 0.4, kGrid.spacing_mm).mask, kPlace};
}

TEST(Place, PositionsAndIndicesAreEachOthersInverse) {
  const auto map = IndexMap::Of(kGrid, kPlace);
  ASSERT_TRUE(map.has_value());
  const Index index = {1.25, -3, 17.5}, back = (*map)(PositionOf(kGrid, kPlace, index));
  for (std::size_t axis = 0; axis < 3; ++axis) EXPECT_NEAR(back[axis], index[axis], 1e-12);
}

TEST(Place, WithoutAnInverseIsRefused) {
  Place flat = kPlace;
  flat.direction[2] = flat.direction[1];
  EXPECT_EQ(IndexMap::Of(kGrid, flat).error().code, ErrorCode::kInvalidArgument);
  Grid none = kGrid;
  none.spacing_mm[1] = 0;
  EXPECT_EQ(IndexMap::Of(none, kPlace).error().code, ErrorCode::kInvalidArgument);
  Place nowhere = kPlace;
  nowhere.direction[0][0] = std::nan("");
  EXPECT_EQ(IndexMap::Of(kGrid, nowhere).error().code, ErrorCode::kInvalidArgument);
}

TEST(Reconcile, TakesWhatLiesWithinAThousandthOfAVoxelAsItIs) {
  PlacedMask mask = SomeMask();
  mask.place.origin_mm[0] += 0.0009;
  mask.mask.grid.spacing_mm[2] += 1e-5;
  const auto result = Reconcile(mask, kGrid, kPlace);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->mask.inside, mask.mask.inside);
  EXPECT_EQ(result->mask.grid, kGrid);
  EXPECT_EQ(result->note, "");
  mask.place.origin_mm[0] += 0.001;
  EXPECT_NE(Reconcile(mask, kGrid, kPlace)->note, "");
}

TEST(Reconcile, FindsAPartCutOutAndMirroredAgain) {
  const PlacedMask whole = SomeMask();
  const Box box = {{1, 2, 1}, {6, 5, 4}, false};
  const Mask cut = Cut(whole.mask, box);
  // Voxel (x, y, z) of the mirrored part is voxel (last x - x, first y + y, last z - z).
  PlacedMask part{{cut.grid, std::vector<std::uint8_t>(cut.inside.size())}, kPlace};
  part.place.origin_mm = PositionOf(kGrid, kPlace, {6, 2, 4});
  for (const std::size_t axis : {0U, 2U}) {
    for (double& number : part.place.direction[axis]) number = -number;
  }
  Mask expected{kGrid, std::vector<std::uint8_t>(kGrid.voxel_count())};
  for (int z = 0; z < 4; ++z) {
    for (int y = 0; y < 4; ++y) {
      for (int x = 0; x < 6; ++x) {
        const std::uint8_t value = cut.inside[cut.grid.Index(x, y, z)];
        part.mask.inside[cut.grid.Index(5 - x, y, 3 - z)] = value;
        expected.inside[kGrid.Index(x + 1, y + 2, z + 1)] = value;
      }
    }
  }
  const auto result = Reconcile(part, kGrid, kPlace);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->mask.inside, expected.inside);
  EXPECT_NE(result->note.find("differs from the image's in size, origin, direction: "),
            std::string::npos)
      << result->note;
}

TEST(Reconcile, OfAFinerGridLooksUpTheCentres) {
  const PlacedMask coarse = SomeMask();
  PlacedMask fine;
  fine.place = kPlace;
  fine.mask.grid = {{24, 21, 18}, {1.0 / 3, 0.5, 4.0 / 3}};
  fine.place.origin_mm = PositionOf(fine.mask.grid, kPlace, {-1, -1, -1});
  for (int z = 0; z < 18; ++z) {
    for (int y = 0; y < 21; ++y) {
      for (int x = 0; x < 24; ++x)
        fine.mask.inside.push_back(coarse.mask.inside[kGrid.Index(x / 3, y / 3, z / 3)]);
    }
  }
  const auto result = Reconcile(fine, kGrid, kPlace);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->mask.inside, coarse.mask.inside);
  const auto back = Reconcile({result->mask, kPlace}, fine.mask.grid, fine.place);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->mask.inside, fine.mask.inside);
}

TEST(Reconcile, SaysHowManyVoxelsLieOutsideAndRefusesWhenAllDo) {
  PlacedMask mask = SomeMask();
  mask.mask.inside.assign(kGrid.voxel_count(), 1);
  mask.place.origin_mm = PositionOf(kGrid, kPlace, {2, 0, 0});
  const auto shifted = Reconcile(mask, kGrid, kPlace);
  ASSERT_TRUE(shifted.has_value());
  EXPECT_EQ(Count(shifted->mask.inside), 6U * 7 * 6);
  EXPECT_NE(shifted->note.find(". 84 voxels of the region lie outside"), std::string::npos)
      << shifted->note;
  mask.place.origin_mm = PositionOf(kGrid, kPlace, {8, 0, 0});
  const auto away = Reconcile(mask, kGrid, kPlace);
  ASSERT_FALSE(away.has_value());
  EXPECT_NE(away.error().message.find("mask: 8 x 7 x 6 voxels"), std::string::npos);
  EXPECT_NE(away.error().message.find("image: 8 x 7 x 6 voxels"), std::string::npos);
}

}  // namespace
}  // namespace consilium::engine
