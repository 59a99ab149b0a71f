#include "engine/semantic.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "engine/intensity_scale/spread.h"
#include "engine/otsu.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

// A muscle of 4 x 3 voxels on slices 1 to 3, a column of it fat, and one voxel more on slice 2.
struct Muscle {
  Image image;
  Mask mask;
};
Muscle MuscleWithFat() {
  const Grid grid{{8, 7, 5}, {0.5, 2, 4}};
  Muscle muscle{{grid, std::vector<double>(grid.voxel_count())},
                {grid, std::vector<std::uint8_t>(grid.voxel_count())}};
  const auto put = [&](int x, int y, int z, double value) {
    muscle.mask.inside[grid.Index(x, y, z)] = 1;
    muscle.image.values.Doubles()[grid.Index(x, y, z)] = value;
  };
  for (int z = 1; z <= 3; ++z) {
    for (int y = 2; y <= 4; ++y) {
      for (int x = 2; x <= 5; ++x) put(x, y, z, x == 5 ? 90 + y : 10 + y);
    }
  }
  put(6, 3, 2, 95);
  return muscle;
}

TEST(Semantic, IsWhatAReaderWouldMeasure) {
  const Muscle muscle = MuscleWithFat();
  const auto f = Semantic(muscle.image, muscle.mask);
  ASSERT_TRUE(f.has_value());
  EXPECT_EQ(f->slice_count, 3);
  EXPECT_EQ(f->area_largest, 13);  // of 0.5 mm x 2 mm
  EXPECT_NEAR(f->area_mean, 37.0 / 3, 1e-12);
  EXPECT_EQ(f->area_at_level, 13);
  EXPECT_GT(f->fat_threshold, 14);
  EXPECT_LT(f->fat_threshold, 92);
  EXPECT_NEAR(f->fat_fraction, 10.0 / 37, 1e-12);
  EXPECT_NEAR(f->fat_fraction_at_level, 4.0 / 13, 1e-12);
  EXPECT_EQ(f->lean_area_at_level, 9);
  // Between mid-points of voxels and their neighbours outside: rows of 3 to 5 voxels of 0.5 mm,
  // columns of 3 of 2 mm.
  EXPECT_NEAR(f->maximum_diameter_in_slice, std::sqrt(1.5 * 1.5 + 6 * 6), 1e-9);
  EXPECT_GT(f->maximum_diameter, f->maximum_diameter_in_slice);
}

TEST(Semantic, AtALevelAndByAThreshold) {
  const Muscle muscle = MuscleWithFat();
  const auto at = Semantic(muscle.image, muscle.mask, {2, 3, 92.5});
  EXPECT_EQ(at->area_at_level, 12);
  EXPECT_EQ(at->fat_threshold, 92.5);
  EXPECT_NEAR(at->fat_fraction, 7.0 / 37, 1e-12);
  EXPECT_NEAR(at->fat_fraction_at_level, 2.0 / 12, 1e-12);
  const auto beyond = Semantic(muscle.image, muscle.mask, {2, 0, {}});
  EXPECT_EQ(beyond->area_at_level, 0);
  EXPECT_EQ(beyond->lean_area_at_level, 0);
  EXPECT_TRUE(std::isnan(beyond->fat_fraction_at_level));
}

TEST(Semantic, AcrossAnyAxisIsThatOfTheTurnedImage) {
  const Region region = RandomRegion(3, {9, 8, 7}, 0.5);
  for (const auto& order :
       {std::array<std::size_t, 3>{1, 2, 0}, std::array<std::size_t, 3>{0, 2, 1}}) {
    const Region turned = Turned(region, order);
    // Axis a of the turned image is axis order[a].
    const auto here = Semantic(region.image, region.mask, {order[2], {}, {}}),
               there = Semantic(turned.image, turned.mask, {2, {}, {}});
    ASSERT_TRUE(here.has_value() && there.has_value());
    std::vector<double> a, b;
    SemanticFeatures::Visit(*here, [&](const FeatureName&, const double& v) { a.push_back(v); });
    SemanticFeatures::Visit(*there, [&](const FeatureName&, const double& v) { b.push_back(v); });
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-9) << i;
  }
}

TEST(Semantic, NamesAreDifferent) {
  std::set<std::string> names;
  std::size_t count = 0;
  SemanticFeatures::Visit(SemanticFeatures{}, [&](const FeatureName& name, const double& value) {
    names.emplace(name.name);
    ++count;
    EXPECT_TRUE(std::isnan(value));
  });
  EXPECT_EQ(names.size(), count);
}

TEST(Semantic, OfAFlatRegionHasNoFat) {
  Muscle muscle = MuscleWithFat();
  std::fill(muscle.image.values.Doubles().begin(), muscle.image.values.Doubles().end(), 3.0);
  const auto f = Semantic(muscle.image, muscle.mask);
  ASSERT_TRUE(f.has_value());
  EXPECT_EQ(f->area_largest, 13);
  EXPECT_TRUE(std::isnan(f->fat_fraction));
}

TEST(Semantic, RefusesWhatIsNotThere) {
  Muscle muscle = MuscleWithFat();
  EXPECT_EQ(Semantic(muscle.image, muscle.mask, {3, {}, {}}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(Semantic(muscle.image, muscle.mask, {2, 5, {}}).error().code,
            ErrorCode::kInvalidArgument);
  const Mask other{{{1, 1, 1}, {1, 1, 1}}, {1}};
  EXPECT_EQ(Semantic(muscle.image, other).error().code, ErrorCode::kInvalidArgument);
  muscle.image.values.Doubles()[muscle.mask.grid.Index(3, 3, 2)] = NAN;
  EXPECT_EQ(Semantic(muscle.image, muscle.mask).error().code, ErrorCode::kInvalidArgument);
  std::fill(muscle.mask.inside.begin(), muscle.mask.inside.end(), 0);
  EXPECT_EQ(Semantic(muscle.image, muscle.mask).error().code, ErrorCode::kInvalidArgument);
}

// Every cut tried, with means and sizes of both classes.
RC_GTEST_PROP(Otsu, IsTheBestOfAllCuts, (std::uint32_t seed)) {
  Rng rng(seed, "otsu");
  std::vector<double> values;
  const int n = *rc::gen::inRange(2, 60);
  for (int i = 0; i < n; ++i)
    values.push_back(static_cast<double>(rng.Below(20)) + (rng.Chance(0.4) ? 30 : 0));
  values.push_back(values.front() + 1);
  const auto between = [&](double threshold) {
    std::vector<double> low, high;
    for (const double x : values) (x > threshold ? high : low).push_back(x);
    if (low.empty() || high.empty()) return 0.0;
    const double apart = MeanAndSdOf(high).mean - MeanAndSdOf(low).mean;
    return apart * apart * static_cast<double>(low.size() * high.size());
  };
  const auto found = OtsuThreshold(values);
  RC_ASSERT(found.has_value());
  double best = 0;
  for (const double x : values) best = std::max(best, between(x));
  RC_ASSERT(between(*found) > best * (1 - 1e-12));
}

TEST(Otsu, OfEqualValuesHasNoThreshold) {
  EXPECT_EQ(OtsuThreshold(std::vector<double>{2, 2}).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(OtsuThreshold({}).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(OtsuThreshold(std::vector<double>{2, NAN}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(*OtsuThreshold(std::vector<double>{1, 1, 9}), 5);
}

}  // namespace
}  // namespace consilium::engine
