#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "engine/filter/recursive_laplacian.h"
#include "engine/filter/wavelet.h"
#include "engine/resample.h"
#include "engine/trigonometry.h"
#include "tests/unit/engine/box_of_image.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

TEST(SineCosine, IsThatOfTheLibraryToTheLastBits) {
  for (int i = -4000; i <= 4000; ++i) {
    const double x = i * 0.0137;
    EXPECT_NEAR(SineCosineOf(x).sine, std::sin(x), 3e-16) << x;
    EXPECT_NEAR(SineCosineOf(x).cosine, std::cos(x), 3e-16) << x;
  }
}

TEST(StationaryWavelet, OfAFlatImageIsInTheLowBandAlone) {
  const Image flat{{{6, 7, 5}, {1, 1, 1}}, std::vector<double>(210, 3)};
  for (const char* name : {"haar", "db2", "coif1"}) {
    const auto filters = WaveletNamed(name);
    ASSERT_TRUE(filters.has_value());
    for (const SubBand& band : StationaryWavelet(flat, *filters, Whole(flat.grid))) {
      const double expected = band.name == "LLL" ? 6 * std::numbers::sqrt2 : 0;
      for (const double value : band.image.values) EXPECT_NEAR(value, expected, 1e-12) << name;
    }
  }
}

TEST(StationaryWavelet, OfAPointIsTheProductOfTheFilters) {
  Image point{{{8, 8, 8}, {1, 1, 1}}, std::vector<double>(512)};
  point.values.Doubles()[point.grid.Index(3, 4, 5)] = 1;
  const auto filters = WaveletNamed("coif1");
  const auto bands = StationaryWavelet(point, *filters, Whole(point.grid));
  ASSERT_EQ(bands.size(), 8U);
  EXPECT_EQ(bands[0].name, "LLH");
  // At o the tap j meets the voxel o + 3 - j.
  const Image& band = bands[0].image;
  for (int o = 0; o < 6; ++o) {
    const auto tap = static_cast<std::size_t>(o);
    EXPECT_DOUBLE_EQ(band.values[band.grid.Index(o, 4 - 3 + 2, (5 - 3 + 1) % 8)],
                     filters->low[tap] * filters->low[2] * filters->high[1])
        << o;
  }
}

TEST(StationaryWavelet, OfABoxIsThatOfTheWholeImageThere) {
  const Region region = RandomRegion(4, {11, 8, 9}, 0.5);
  const auto filters = WaveletNamed("coif1");
  const Box box{{0, 2, 5}, {10, 4, 8}, false};
  const auto whole = StationaryWavelet(region.image, *filters, Whole(region.image.grid)),
             part = StationaryWavelet(region.image, *filters, box);
  for (std::size_t b = 0; b < 8; ++b)
    EXPECT_EQ(part[b].image.values, CutOut(whole[b].image, box).values) << part[b].name;
}

TEST(StationaryWavelet, OfAnUnknownNameListsThoseThatAreKnown) {
  const auto unknown = WaveletNamed("db77");
  ASSERT_EQ(unknown.error().code, ErrorCode::kNotFound);
  EXPECT_NE(unknown.error().message.find("coif1"), std::string::npos);
}

TEST(LaplacianOfGaussian, OfAGaussianIsTheAnalyticOne) {
  // Of a Gaussian of width w, filtered at s: that of a Gaussian of width sqrt(w^2 + s^2), times
  // s^2.
  constexpr double kWidth = 4, kSigma = 3;
  Image image{{{40, 40, 40}, {1, 1, 1}}, {}};
  const auto squared = [](int x, int y, int z) {
    return (x - 20.0) * (x - 20.0) + (y - 20.0) * (y - 20.0) + (z - 20.0) * (z - 20.0);
  };
  for (int z = 0; z < 40; ++z) {
    for (int y = 0; y < 40; ++y) {
      for (int x = 0; x < 40; ++x)
        image.values.Doubles().push_back(1000 *
                                         std::exp(-squared(x, y, z) / (2 * kWidth * kWidth)));
    }
  }
  const auto filtered = LaplacianOfGaussian(image, kSigma, Whole(image.grid));
  ASSERT_TRUE(filtered.has_value());
  const double both = kWidth * kWidth + kSigma * kSigma,
               height = 1000 * std::pow(kWidth * kWidth / both, 1.5);
  for (int x = 10; x <= 30; ++x) {
    const double r = squared(x, 20, 18);
    const double expected =
        kSigma * kSigma * height * std::exp(-r / (2 * both)) * (r / (both * both) - 3 / both);
    EXPECT_NEAR(filtered->values[image.grid.Index(x, 20, 18)], expected, 6)
        << x;  // a hundredth of the largest
  }
}

TEST(LaplacianOfGaussian, OfABoxIsThatOfTheWholeImageThere) {
  const Region region = RandomRegion(4, {90, 30, 20}, 0.5, {1, 1, 3});
  const Box box{{40, 10, 5}, {52, 20, 12}, false};
  const auto whole = LaplacianOfGaussian(region.image, 1, Whole(region.image.grid)),
             part = LaplacianOfGaussian(region.image, 1, box);
  ASSERT_TRUE(whole && part);
  const Image expected = CutOut(*whole, box);
  for (std::size_t i = 0; i < expected.values.size(); ++i)
    EXPECT_NEAR(part->values[i], expected.values[i], 2e-6);
}

TEST(LaplacianOfGaussian, RefusesWhatItCannotFilter) {
  const Image thin{{{9, 9, 3}, {1, 1, 1}}, std::vector<double>(243)};
  EXPECT_EQ(LaplacianOfGaussian(thin, 1, Whole(thin.grid)).error().code,
            ErrorCode::kInvalidArgument);
  const Image good{{{9, 9, 9}, {1, 1, 1}}, std::vector<double>(729, 5)};
  EXPECT_EQ(LaplacianOfGaussian(good, 0, Whole(good.grid)).error().code,
            ErrorCode::kInvalidArgument);
  const auto flat = LaplacianOfGaussian(good, 2, Whole(good.grid));
  for (const double value : flat->values) EXPECT_NEAR(value, 0, 1e-5);
}

TEST(Resample, KeepsALinearRampAndTheGridsCentres) {
  Image ramp{{{10, 4, 3}, {1, 2, 3}}, {}};
  for (int z = 0; z < 3; ++z) {
    for (int y = 0; y < 4; ++y) {
      for (int x = 0; x < 10; ++x) ramp.values.Doubles().push_back(x);
    }
  }
  Resampling how;
  how.spacing_mm = {0.8, 0, 0};
  for (const Interpolation interpolation : {Interpolation::kLinear, Interpolation::kCubicSpline}) {
    how.interpolation = interpolation;
    const auto resampled = Resample(ramp, how);
    ASSERT_TRUE(resampled.has_value());
    EXPECT_EQ(resampled->grid.size, (std::array<int, 3>{13, 4, 3}));
    for (int x = 3; x < 10; ++x)
      EXPECT_NEAR(resampled->values[static_cast<std::size_t>(x)], 4.5 + (x - 6) * 0.8, 0.02) << x;
  }
}

TEST(Resample, AroundARegionKeepsTheFirstCornerAndIsZeroOutside) {
  Image ramp{{{10, 4, 3}, {1, 2, 3}}, {}};
  for (int i = 0; i < 120; ++i) ramp.values.Doubles().push_back(10 + i % 10);
  const Box box{{6, 1, 1}, {9, 2, 1}, false};
  const auto to = GridAround(box, ramp.grid, {0.75, 2, 3}, 1);
  ASSERT_TRUE(to.has_value());
  // From floor(5.5 / 0.75 - 1) = 6, at 4.375, to ceil(10 / 0.75) - 1 = 13, at 9.625.
  EXPECT_EQ(to->grid.size, (std::array<int, 3>{8, 4, 3}));
  Image fine = Resample(ramp, *to, Interpolation::kLinear);
  EXPECT_EQ(fine.values[0], 10 + 4.375);
  EXPECT_EQ(fine.values[6], 10 + 8.875);
  EXPECT_EQ(fine.values[7], 0);
  ramp.numbers = {true, 0, 15};
  fine = Resample(ramp, *to, Interpolation::kLinear);
  EXPECT_EQ(fine.values[0], 14);
  EXPECT_EQ(fine.values[6], 15);
  ramp.numbers = {};
  ramp.numbers.single_precision = true;
  for (double& value : ramp.values.Doubles()) value = static_cast<float>(value / 3);
  fine = Resample(ramp, *to, Interpolation::kLinear);
  EXPECT_NEAR(fine.values[0], 14.375 / 3, 1e-6);
  for (const double value : fine.values) EXPECT_EQ(value, static_cast<float>(value));
  Mask mask{ramp.grid, std::vector<std::uint8_t>(120)};
  mask.inside[mask.grid.Index(9, 1, 1)] = 1;
  const Box nearest = BoundingBoxOf(Resample(mask, *to));
  EXPECT_EQ(nearest.first, (std::array<int, 3>{6, 1, 1}));
  EXPECT_EQ(nearest.last, nearest.first);
}

TEST(Resample, OfTheSameSpacingIsTheSameImage) {
  const Region region = RandomRegion(9, {7, 6, 5}, 0.5);
  Resampling how;
  how.spacing_mm = region.image.grid.spacing_mm;
  for (const Interpolation interpolation :
       {Interpolation::kNearest, Interpolation::kLinear, Interpolation::kCubicSpline}) {
    how.interpolation = interpolation;
    const auto same = Resample(region.image, how);
    ASSERT_TRUE(same.has_value());
    for (std::size_t i = 0; i < same->values.size(); ++i)
      EXPECT_NEAR(same->values[i], region.image.values[i], 1e-12);
  }
  how.spacing_mm = {-1, 1, 1};
  EXPECT_EQ(Resample(region.image, how).error().code, ErrorCode::kInvalidArgument);
  how.spacing_mm = {1e-4, 1e-4, 1e-4};
  EXPECT_EQ(Resample(region.image, how).error().code, ErrorCode::kOutOfRange);
}

}  // namespace
}  // namespace consilium::engine
