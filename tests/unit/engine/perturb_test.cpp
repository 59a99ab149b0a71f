#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <set>

#include "engine/distance_map.h"
#include "engine/filter/wavelet.h"
#include "engine/intensity_scale/spread.h"
#include "engine/perturb/contour.h"
#include "engine/perturb/displacement.h"
#include "engine/perturb/noise.h"
#include "engine/stability/mask_agreement.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

// The values of f(x, y, z), in voxels.
template <typename F>
Image ImageOf(const Grid& grid, const F& f) {
  Image image{grid, {}};
  for (int z = 0; z < grid.size[2]; ++z) {
    for (int y = 0; y < grid.size[1]; ++y) {
      for (int x = 0; x < grid.size[0]; ++x) image.values.Doubles().push_back(f(x, y, z));
    }
  }
  return image;
}

Mask BoxMask(const Grid& grid, const Box& box) {
  Mask mask{grid, {}};
  for (const double inside : ImageOf(grid, [&](int x, int y, int z) {
                               return x >= box.first[0] && x <= box.last[0] && y >= box.first[1] &&
                                      y <= box.last[1] && z >= box.first[2] && z <= box.last[2];
                             }).values) {
    mask.inside.push_back(inside > 0 ? 1 : 0);
  }
  return mask;
}

std::size_t CountOf(const Mask& mask) {
  return static_cast<std::size_t>(std::count(mask.inside.begin(), mask.inside.end(), 1));
}

constexpr Interpolation kAll[] = {Interpolation::kNearest, Interpolation::kLinear,
                                  Interpolation::kCubicSpline};

TEST(Displacement, ByNothingIsTheSameRegion) {
  const Region region = RandomRegion(1, {9, 8, 7}, 0.4);
  for (const Interpolation how : kAll) {
    const auto same = Displaced(region.image, region.mask, {{}, 0, 2, how});
    ASSERT_TRUE(same.has_value());
    EXPECT_EQ(same->mask.inside, region.mask.inside);
    for (std::size_t i = 0; i < region.image.values.size(); ++i)
      EXPECT_NEAR(same->image.values[i], region.image.values[i], 1e-12);
  }
}

TEST(Displacement, ByWholeVoxelsMovesThem) {
  const Region region = RandomRegion(2, {9, 8, 7}, 0.4);
  const Grid& grid = region.mask.grid;
  for (const Interpolation how : kAll) {
    const auto moved = Displaced(region.image, region.mask, {{1, -1, 0}, 0, 2, how});
    ASSERT_TRUE(moved.has_value());
    for (int z = 0; z < 7; ++z) {
      for (int y = 0; y < 7; ++y) {
        for (int x = 1; x < 9; ++x) {
          const std::size_t to = grid.Index(x, y, z), from = grid.Index(x - 1, y + 1, z);
          EXPECT_EQ(moved->mask.inside[to], region.mask.inside[from]);
          EXPECT_NEAR(moved->image.values[to], region.image.values[from], 1e-12);
        }
      }
    }
  }
}

// A plane of intensities, turned and shifted in mm, is a plane: linear interpolation is exact.
TEST(Displacement, TurnsAPlaneAboutTheRegionsCentre) {
  const Grid grid{{24, 20, 16}, {0.7, 1.3, 2.1}};
  const Mask mask = BoxMask(grid, {{8, 6, 5}, {14, 13, 10}, false});
  const std::array<double, 3> slope = {3, -2, 5}, centre = {11, 9.5, 7.5}, shift = {0.3, -0.6, 0.2};
  const Image plane = ImageOf(grid, [&](int x, int y, int z) {
    return slope[0] * x * 0.7 + slope[1] * y * 1.3 + slope[2] * z * 2.1;
  });
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (const double degrees : {-12.0, 4.0, 7.5}) {
      const auto moved = Displaced(plane, mask, {shift, degrees, axis, Interpolation::kLinear});
      ASSERT_TRUE(moved.has_value());
      const double angle = degrees * std::numbers::pi / 180;
      const std::size_t u = (axis + 1) % 3, v = (axis + 2) % 3;
      for (int z = 6; z <= 9; ++z) {
        for (int y = 7; y <= 12; ++y) {
          for (int x = 9; x <= 13; ++x) {
            const std::array<int, 3> at = {x, y, z};
            std::array<double, 3> mm{}, from{};  // from the centre
            for (std::size_t a = 0; a < 3; ++a)
              mm[a] = (at[a] - shift[a] - centre[a]) * grid.spacing_mm[a];
            from = mm;
            from[u] = std::cos(angle) * mm[u] + std::sin(angle) * mm[v];
            from[v] = std::cos(angle) * mm[v] - std::sin(angle) * mm[u];
            double expected = 0;
            for (std::size_t a = 0; a < 3; ++a)
              expected += slope[a] * (from[a] + centre[a] * grid.spacing_mm[a]);
            EXPECT_NEAR(moved->image.values[grid.Index(x, y, z)], expected, 1e-9);
          }
        }
      }
    }
  }
}

TEST(Displacement, ByAQuarterTurnTurnsTheMask) {
  const Grid grid{{11, 11, 3}, {2, 2, 5}};
  Mask mask = BoxMask(grid, {{3, 4, 1}, {7, 6, 1}, false});
  const Image image = ImageOf(grid, [](int x, int y, int) { return 10.0 * x + y; });
  for (const Interpolation how : kAll) {
    const auto turned = Displaced(image, mask, {{}, 90, 2, how});
    ASSERT_TRUE(turned.has_value());
    EXPECT_EQ(turned->mask.inside, BoxMask(grid, {{4, 3, 1}, {6, 7, 1}, false}).inside);
    // x turns to y: the voxel right of the centre comes below it.
    EXPECT_NEAR(turned->image.values[grid.Index(5, 7, 1)], 10.0 * 7 + 5, 1e-9);
  }
}

TEST(Displacement, RefusesWhatLeavesTheGrid) {
  const Grid grid{{6, 6, 6}, {1, 1, 1}};
  const Mask mask = BoxMask(grid, {{2, 2, 2}, {3, 3, 3}, false});
  const Image image = ImageOf(grid, [](int x, int, int) { return x; });
  EXPECT_EQ(Displaced(image, mask, {{9, 0, 0}, 0}).error().code, ErrorCode::kOutOfRange);
  EXPECT_EQ(Displaced(image, mask, {{NAN, 0, 0}, 0}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Displaced(image, mask, {{}, 1e6}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Displaced(image, mask, {{}, 1, 3}).error().code, ErrorCode::kInvalidArgument);
  const Mask empty{grid, std::vector<std::uint8_t>(grid.voxel_count())};
  EXPECT_EQ(Displaced(image, empty, {}).error().code, ErrorCode::kInvalidArgument);
}

TEST(Noise, IsEstimatedWithinTwoPercent) {
  for (const Grid& grid : {Grid{{60, 50, 30}, {1, 1, 3}}, Grid{{200, 180, 1}, {1, 1, 3}}}) {
    const Image smooth =
        ImageOf(grid, [](int x, int y, int z) { return 500 + 3 * x - 2 * y + 0.02 * x * y + z; });
    const int last_z = grid.size[2] - 1;
    const Mask mask = BoxMask(grid, {{5, 5, 0}, {50, 40, last_z}, false});
    Rng rng(7, "noise");
    const auto level = NoiseLevel(WithNoise(smooth, 8, rng), mask);
    ASSERT_TRUE(level.has_value());
    // The median of n absolute normal values has a standard error of 1.17 / sqrt(n).
    const double n = static_cast<double>(CountOf(mask));
    EXPECT_NEAR(*level, 8, 8 * 4 * 1.17 / std::sqrt(n));
  }
}

TEST(Noise, IsThatOfTheDiagonalSubBandWhateverTheSlabs) {
  const Region region = RandomRegion(5, {14, 13, 21}, 0.5);
  const Box whole{{0, 0, 0}, {13, 12, 20}, false};
  std::vector<double> sizes;
  const Image diagonal = StationaryWavelet(region.image, *WaveletNamed("coif1"), whole)[6].image;
  for (std::size_t i = 0; i < region.mask.inside.size(); ++i) {
    if (region.mask.inside[i] != 0) sizes.push_back(std::abs(diagonal.values[i]));
  }
  std::sort(sizes.begin(), sizes.end());
  EXPECT_EQ(*NoiseLevel(region.image, region.mask), sizes[sizes.size() / 2] / 0.6744897501960817);
}

TEST(Noise, OfOneSeedHasTheSameBits) {
  const Region region = RandomRegion(5, {8, 7, 6}, 0.5);
  Rng a(3, "noise"), b(3, "noise"), c(4, "noise");
  const auto once = WithNoise(region.image, 2, a).values;
  EXPECT_EQ(once, WithNoise(region.image, 2, b).values);
  EXPECT_NE(once, WithNoise(region.image, 2, c).values);
  std::vector<double> added;
  for (std::size_t i = 0; i < once.size(); ++i) added.push_back(once[i] - region.image.values[i]);
  EXPECT_NEAR(MeanAndSdOf(added).sd, 2, 0.4);
  EXPECT_EQ(WithNoise(region.image, 0, c).values, region.image.values);
}

TEST(Noise, RefusesWhatHasNone) {
  Region region = RandomRegion(5, {8, 7, 6}, 0.5);
  const Mask empty{region.mask.grid, std::vector<std::uint8_t>(region.mask.inside.size())};
  EXPECT_EQ(NoiseLevel(region.image, empty).error().code, ErrorCode::kInvalidArgument);
  std::fill(region.image.values.Doubles().begin(), region.image.values.Doubles().end(), NAN);
  EXPECT_EQ(NoiseLevel(region.image, region.mask).error().code, ErrorCode::kInvalidArgument);
  const Grid one{{1, 1, 1}, {1, 1, 1}};
  EXPECT_EQ(NoiseLevel({one, {3}}, {one, {1}}).error().code, ErrorCode::kInvalidArgument);
}

RC_GTEST_PROP(Resized, TakesTheNearestAndAsManyAsWanted, (std::uint32_t seed)) {
  const Mask mask = RandomRegion(seed, {9, 8, 7}, 0.2, {0.7, 1.3, 4.1}).mask;
  const double fraction = *rc::gen::inRange(-90, 150) / 100.0;
  const auto n = static_cast<double>(CountOf(mask));
  Rng rng(seed, "resized"), again(seed, "resized");
  const auto resized = Resized(mask, fraction, rng);
  RC_ASSERT(resized.has_value());
  RC_ASSERT(static_cast<double>(CountOf(*resized)) ==
            std::max(1.0, std::floor(n * (1 + fraction) + 0.5)));
  RC_ASSERT(Resized(mask, fraction, again)->inside == resized->inside);
  const bool grow = CountOf(*resized) > CountOf(mask);
  // Distances to what the voxels come from: the mask, or the outside within and around the grid.
  Mask source = mask;
  if (!grow) {
    for (std::uint8_t& voxel : source.inside) voxel = voxel == 0 ? 1 : 0;
  }
  const auto distances = SquaredDistancesTo(source);  // no voxel of the mask is at the border
  double farthest_changed = 0, nearest_left = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < mask.inside.size(); ++i) {
    if ((mask.inside[i] != 0) == grow) {
      RC_ASSERT(resized->inside[i] == mask.inside[i]);
    } else if (resized->inside[i] != mask.inside[i]) {
      farthest_changed = std::max(farthest_changed, distances[i]);
    } else {
      nearest_left = std::min(nearest_left, distances[i]);
    }
  }
  RC_ASSERT(farthest_changed <= nearest_left);
}

TEST(Resized, AtTheImagesBorderCountsWhatIsBeyondAsOutside) {
  const Grid grid{{3, 3, 3}, {1, 1, 1}};
  const Mask full{grid, std::vector<std::uint8_t>(27, 1)};
  Rng rng(1, "resized");
  const auto middle = Resized(full, -0.95, rng);
  EXPECT_EQ(CountOf(*middle), 1U);
  EXPECT_EQ(middle->inside[13], 1);
  EXPECT_EQ(Resized(full, 0.1, rng).error().code, ErrorCode::kOutOfRange);
  EXPECT_EQ(Resized(full, -1, rng).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Resized(full, NAN, rng).error().code, ErrorCode::kInvalidArgument);
}

TEST(Supervoxels, OfAFlatImageAreItsBlocks) {
  const Grid grid{{12, 9, 4}, {1, 1, 2}};
  const Image flat = ImageOf(grid, [](int, int, int) { return 4.0; });
  const auto pieces = SupervoxelsOf(flat, {{0, 0, 0}, {11, 8, 3}, false}, {3, 0.5, 10});
  ASSERT_TRUE(pieces.has_value());
  EXPECT_EQ(pieces->count, 4U * 3 * 3);
  std::map<std::uint32_t, std::size_t> sizes;
  for (const std::uint32_t label : pieces->label) ++sizes[label];
  EXPECT_EQ(sizes.size(), pieces->count);
  for (int x = 0; x < 12; ++x) EXPECT_EQ(pieces->label[grid.Index(x, 0, 0)], x / 3);
}

TEST(Supervoxels, DoNotCrossAStrongEdge) {
  const Grid grid{{30, 20, 10}, {1, 1, 2}};
  Rng rng(3, "edge");
  const Image edge = ImageOf(
      grid, [&](int x, int y, int) { return (x + y / 4 < 16 ? 0.0 : 100.0) + rng.Normal(); });
  const Box box{{2, 1, 1}, {28, 18, 8}, false};
  const auto pieces = SupervoxelsOf(edge, box, {4, 0.2, 10});
  ASSERT_TRUE(pieces.has_value());
  std::map<std::uint32_t, std::pair<double, double>> range;
  std::size_t i = 0;
  for (int z = 1; z <= 8; ++z) {
    for (int y = 1; y <= 18; ++y) {
      for (int x = 2; x <= 28; ++x) {
        const double value = edge.values[grid.Index(x, y, z)];
        auto& [low, high] = range.try_emplace(pieces->label[i++], value, value).first->second;
        low = std::min(low, value);
        high = std::max(high, value);
      }
    }
  }
  EXPECT_GT(range.size(), 20U);
  for (const auto& [label, ends] : range) EXPECT_LT(ends.second - ends.first, 20) << label;
}

struct Lesion {
  Image image;
  Mask mask;
};
Lesion BrightBall() {
  const Grid grid{{40, 36, 20}, {1, 1, 2}};
  Rng rng(9, "lesion");
  const auto inside = [](int x, int y, int z) {
    return (x - 20) * (x - 20) + (y - 18) * (y - 18) + 4 * (z - 10) * (z - 10) <= 100;
  };
  Lesion lesion{
      ImageOf(grid, [&](int x, int y,
                        int z) { return (inside(x, y, z) ? 100.0 : 60.0) + 10 * rng.Normal(); }),
      {grid, {}}};
  for (const double one : ImageOf(grid, inside).values)
    lesion.mask.inside.push_back(one > 0 ? 1 : 0);
  return lesion;
}

TEST(RandomContour, IsNearTheDrawnOneAndAnotherForEachSeed) {
  const Lesion lesion = BrightBall();
  std::set<std::vector<std::uint8_t>> different;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Rng rng(seed, "contour"), again(seed, "contour");
    const auto drawn = RandomContour(lesion.image, lesion.mask, {{4, 0.5, 10}}, rng);
    ASSERT_TRUE(drawn.has_value());
    EXPECT_EQ(RandomContour(lesion.image, lesion.mask, {{4, 0.5, 10}}, again)->inside,
              drawn->inside);
    EXPECT_GT(OverlapOf(lesion.mask, *drawn)->dice, 0.8);
    different.insert(drawn->inside);
  }
  EXPECT_GT(different.size(), 1U);
}

TEST(RandomContour, TakesAllThatTouchOrAtLeastOne) {
  const Lesion lesion = BrightBall();
  Rng rng(1, "contour");
  const auto all = RandomContour(lesion.image, lesion.mask, {{4, 0.5, 10}, 0, 0}, rng);
  for (std::size_t i = 0; i < lesion.mask.inside.size(); ++i)
    ASSERT_GE(all->inside[i], lesion.mask.inside[i]);
  const auto one = RandomContour(lesion.image, lesion.mask, {{4, 0.5, 10}, 2, 2}, rng);
  EXPECT_GT(CountOf(*one), 0U);
  EXPECT_LT(CountOf(*one), 150U);
}

TEST(RandomContour, RefusesOptionsOutOfBounds) {
  const Lesion lesion = BrightBall();
  Rng rng(1, "contour");
  for (const ContourOptions& options :
       {ContourOptions{{0, 0.5, 10}}, ContourOptions{{NAN, 0.5, 10}}, ContourOptions{{-3, 1, 1}},
        ContourOptions{{4, 0, 10}}, ContourOptions{{4, 0.5, 0}}, ContourOptions{{}, 0.2, 0.9},
        ContourOptions{{}, 0.9, -1}}) {
    EXPECT_EQ(RandomContour(lesion.image, lesion.mask, options, rng).error().code,
              ErrorCode::kInvalidArgument);
  }
  Image damaged = lesion.image;
  damaged.values.Doubles()[lesion.mask.grid.Index(20, 18, 10)] = NAN;
  EXPECT_EQ(RandomContour(damaged, lesion.mask, {}, rng).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace consilium::engine
