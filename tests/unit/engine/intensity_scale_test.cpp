#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "engine/intensity_scale/landmarks.h"
#include "engine/intensity_scale/reference_tissue.h"
#include "engine/intensity_scale/spread.h"
#include "engine/intensity_scale/standard_score.h"
#include "engine/quantile.h"
#include "engine/resegment.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

// Two tissues: `share` of the voxels around 100, the others around 200.
Image TwoTissues(std::uint64_t seed, int voxels, double share) {
  Rng rng(seed, "tissues");
  Image image{{{voxels, 1, 1}, {1, 1, 1}}, {}};
  for (int i = 0; i < voxels; ++i)
    image.values.Doubles().push_back(rng.Chance(share) ? 100 + 5 * rng.Normal()
                                                       : 200 + 8 * rng.Normal());
  return image;
}

// The same patient on a scanner with another gain and offset.
Image Elsewhere(const Image& image, double gain, double offset) {
  Image other = image;
  for (double& value : other.values.Doubles()) value = gain * value + offset;
  return other;
}

TEST(StandardScore, HasMeanZeroAndTheScaleAsItsDeviation) {
  const Image image = TwoTissues(1, 500, 0.5);
  StandardScore how;
  how.scale = 100;
  for (const bool sample : {true, false}) {
    how.sample_sd = sample;
    const auto scored = ToStandardScore(image, how);
    ASSERT_TRUE(scored.has_value());
    const MeanAndSd of = MeanAndSdOf(scored->values.AsDoubles(), sample);
    EXPECT_NEAR(of.mean, 0, 1e-10);
    EXPECT_NEAR(of.sd, 100, 1e-10);
  }
}

TEST(StandardScore, OfARegionCountsItsVoxelsAndMovesAll) {
  const Image image{{{5, 1, 1}, {1, 1, 1}}, {2, 4, 6, 100, -100}};
  const Mask mask{image.grid, {1, 1, 1, 0, 0}};
  const auto scored = ToStandardScore(image, mask);
  ASSERT_TRUE(scored.has_value());
  EXPECT_EQ(scored->values, (std::vector<double>{-1, 0, 1, 48, -52}));
}

TEST(StandardScore, ClipsBeforeItScales) {
  const Image image{{{5, 1, 1}, {1, 1, 1}}, {2, 4, 6, 100, -100}};
  StandardScore how;
  how.clip_sigmas = 3;
  how.scale = 10;
  const auto scored = ToStandardScore(image, Mask{image.grid, {1, 1, 1, 0, 0}}, how);
  EXPECT_EQ(scored->values, (std::vector<double>{-10, 0, 10, 30, -30}));
}

TEST(StandardScore, RefusesWhatHasNone) {
  const Image flat{{{3, 1, 1}, {1, 1, 1}}, {7, 7, 7}};
  EXPECT_EQ(ToStandardScore(flat).error().code, ErrorCode::kFailedPrecondition);
  const Image image{{{3, 1, 1}, {1, 1, 1}}, {1, 2, NAN}};
  EXPECT_EQ(ToStandardScore(image).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(ToStandardScore(image, Mask{image.grid, {1, 1, 0}}).has_value());
  EXPECT_EQ(ToStandardScore(image, Mask{image.grid, {0, 0, 0}}).error().code,
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(ToStandardScore(image, Mask{{{2, 1, 1}, {1, 1, 1}}, {1, 1}}).error().code,
            ErrorCode::kInvalidArgument);
  StandardScore how;
  how.clip_sigmas = 0;
  EXPECT_EQ(ToStandardScore(image, how).error().code, ErrorCode::kInvalidArgument);
}

RC_GTEST_PROP(Landmarks, TakeGainAndOffsetOutOfImages, (std::uint32_t seed)) {
  const Image here = TwoTissues(seed, 300, 0.4);
  const Image there = Elsewhere(here, *rc::gen::inRange(1, 50) / 10.0, *rc::gen::inRange(-90, 90));
  const auto sums = LandmarksOf(TwoTissues(seed + 1, 400, 0.6).values.AsDoubles());
  const auto standard = TemplateOf(*sums);
  const auto a = ToTemplate(here, here.values.AsDoubles(), *standard),
             b = ToTemplate(there, there.values.AsDoubles(), *standard);
  RC_ASSERT(a.has_value() && b.has_value());
  for (std::size_t i = 0; i < a->values.size(); ++i)
    RC_ASSERT(std::abs(a->values[i] - b->values[i]) < 1e-8);
}

// The map is monotone, so percentiles of the mapped image are the template's, wherever they are
// order statistics.
TEST(Landmarks, OfAMappedImageAreTheTemplates) {
  const Image image = TwoTissues(3, 1001, 0.5), other = TwoTissues(4, 700, 0.8);
  const auto standard = TemplateOf(
      *Together(*LandmarksOf(image.values.AsDoubles()), *LandmarksOf(other.values.AsDoubles())));
  ASSERT_TRUE(standard.has_value());
  EXPECT_EQ(standard->landmarks.front(), 0);
  EXPECT_EQ(standard->landmarks.back(), 100);
  const auto mapped = ToTemplate(image, image.values.AsDoubles(), *standard);
  ASSERT_TRUE(mapped.has_value());
  const std::vector<double> sorted = Ascending(mapped->values.AsDoubles());
  for (std::size_t i = 0; i < standard->percentiles.size(); ++i)
    EXPECT_NEAR(QuantileOf(sorted, standard->percentiles[i] / 100), standard->landmarks[i], 1e-9);
}

TEST(Landmarks, AddUpOverHospitals) {
  std::vector<LandmarkSums> images;
  for (std::uint64_t seed = 0; seed < 5; ++seed)
    images.push_back(*LandmarksOf(AboveMean(TwoTissues(seed, 200, 0.3))));
  const auto first = Together(images[0], images[1]);
  const auto second = Together(*Together(images[2], images[3]), images[4]);
  const auto all = TemplateOf(*Together(*first, *second));
  ASSERT_TRUE(all.has_value());
  for (std::size_t i = 0; i < all->landmarks.size(); ++i) {
    double sum = 0;
    for (const LandmarkSums& image : images) sum += image.landmarks[i];
    EXPECT_NEAR(all->landmarks[i], sum / 5, 1e-12);
  }
}

TEST(Landmarks, ThatCoincideGoToTheMeanOfTheirs) {
  const Image image{{{7, 1, 1}, {1, 1, 1}}, {-10, 0, 5, 10, 10, 20, 40}};
  const LandmarkTemplate standard{{0, 25, 50, 100}, {0, 10, 30, 100}};
  const std::vector<double> foreground = {0, 10, 10, 10, 20};
  const auto mapped = ToTemplate(image, foreground, standard);
  ASSERT_TRUE(mapped.has_value());
  // 0 -> 0, 10 -> 20, 20 -> 100; the end pieces go on.
  EXPECT_EQ(mapped->values, (std::vector<double>{-20, 0, 10, 20, 20, 100, 260}));
}

TEST(Landmarks, RefuseWhatHasNone) {
  const std::vector<double> flat = {1, 1, 1}, good = {1, 2, 3};
  EXPECT_EQ(LandmarksOf(flat).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(LandmarksOf({}).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(LandmarksOf(good, {{10, 5}, 0, 1}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(LandmarksOf(good, {{1, 99}, 2, 1}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(LandmarksOf(std::vector<double>{1, NAN}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Together(*LandmarksOf(good), *LandmarksOf(good, {{1, 99}, 0, 1})).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(TemplateOf({}).error().code, ErrorCode::kFailedPrecondition);
  const Image image{{{3, 1, 1}, {1, 1, 1}}, good};
  EXPECT_EQ(ToTemplate(image, good, {{0, 100}, {5, 5}}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ToTemplate(image, good, {{0, 50, 100}, {0, 5}}).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(Stripe, IsAroundTheModeThatWasAskedFor) {
  const Image image = TwoTissues(5, 20000, 0.7);
  const auto highest = StripeOf(image.values.AsDoubles());
  ASSERT_TRUE(highest.has_value());
  EXPECT_NEAR(highest->tissue.centre, 100, 1);
  EXPECT_LT(highest->low, highest->mode);
  EXPECT_LT(highest->mode, highest->high);
  EXPECT_NEAR(static_cast<double>(highest->tissue.voxels), 2000, 2);  // 2 tau of them
  StripeRule rule;
  rule.mode = StripeRule::Mode::kLast;
  EXPECT_NEAR(StripeOf(image.values.AsDoubles(), rule)->tissue.centre, 200, 2);
  // The second tissue holds 3 of 10 voxels and is wider: its mode is lower than half the highest.
  rule.height_min = 0.5;
  EXPECT_NEAR(StripeOf(image.values.AsDoubles(), rule)->tissue.centre, 100, 1);
}

RC_GTEST_PROP(Stripe, TakesGainAndOffsetOutOfImages, (std::uint32_t seed)) {
  const Image here = TwoTissues(seed, 2000, 0.6);
  const double gain = *rc::gen::inRange(1, 8), offset = *rc::gen::inRange(-90, 90);
  const Image there = Elsewhere(here, gain, offset);
  const auto a = StripeOf(here.values.AsDoubles()), b = StripeOf(there.values.AsDoubles());
  RC_ASSERT(a.has_value() && b.has_value());
  // A voxel at the edge of a bin may change it by rounding, and the mode goes a bin along.
  RC_ASSERT(std::abs(b->tissue.centre - (gain * a->tissue.centre + offset)) <
            gain * a->tissue.spread);
  const auto tissue = ReferenceOf(here.values.AsDoubles()),
             other = ReferenceOf(there.values.AsDoubles());
  const Image same = *ToReference(here, *tissue), there_scaled = *ToReference(there, *other);
  for (std::size_t i = 0; i < same.values.size(); ++i)
    RC_ASSERT(std::abs(same.values[i] - there_scaled.values[i]) < 1e-9);
}

TEST(ReferenceTissue, ByMeanByMedianAndAsARatio) {
  const std::vector<double> muscle = {8, 10, 12, 30};
  const auto mean = ReferenceOf(muscle), median = ReferenceOf(muscle, TissueCentre::kMedian);
  EXPECT_EQ(mean->centre, 15);
  EXPECT_NEAR(mean->spread, std::sqrt((49.0 + 25 + 9 + 225) / 3), 1e-12);
  EXPECT_EQ(median->centre, 11);
  EXPECT_NEAR(median->spread, 1.4826022185056018 * 2, 1e-12);  // of 1, 1, 3, 19
  const Image image{{{2, 1, 1}, {1, 1, 1}}, {11, 33}};
  EXPECT_EQ(ToReference(image, *median, TissueScale::kRatio)->values, (std::vector<double>{1, 3}));
}

TEST(ReferenceTissue, RefusesWhatDoesNotVary) {
  const std::vector<double> flat(20, 3.0);
  EXPECT_EQ(ReferenceOf(std::vector<double>{1}).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(ReferenceOf(std::vector<double>{1, INFINITY}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(StripeOf(flat).error().code, ErrorCode::kFailedPrecondition);
  const Image image{{{1, 1, 1}, {1, 1, 1}}, {3}};
  EXPECT_EQ(ToReference(image, *ReferenceOf(flat)).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(ToReference(image, {-1, 1, 9}, TissueScale::kRatio).error().code,
            ErrorCode::kFailedPrecondition);
  StripeRule rule;
  rule.tau = 0;
  EXPECT_EQ(StripeOf(std::vector<double>{1, 2, 3}, rule).error().code, ErrorCode::kInvalidArgument);
  // Nearly all of the foreground is one number: a stripe within it has no spread.
  std::vector<double> spike(95, 100.0);
  for (int i = 0; i < 5; ++i) spike.push_back(i);
  EXPECT_EQ(StripeOf(spike).error().code, ErrorCode::kFailedPrecondition);
}

}  // namespace
}  // namespace consilium::engine
