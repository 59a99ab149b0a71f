#include "engine/grey_levels.h"

#include <gtest/gtest.h>

#include <limits>

#include "engine/intensity.h"

namespace consilium::engine {
namespace {

using Method = Discretisation::Method;
using Levels = std::vector<std::uint16_t>;

Discretisation Width(double width) {
  Discretisation how;
  how.bin_width = width;
  return how;
}

TEST(Discretise, FixedWidthsBeginAtTheMinimumOrAtTheRangesLowerBound) {
  const std::vector<double> x = {-3, 0, 24.9, 25, 47};
  EXPECT_EQ(Discretise(x, Width(25))->levels, (Levels{1, 1, 2, 2, 3}));
  Discretisation from = Width(25);
  from.lowest = -500;
  EXPECT_EQ(Discretise(x, from)->levels, (Levels{20, 21, 21, 22, 22}));
  from.lowest = 0;
  EXPECT_EQ(Discretise(x, from).error().code, ErrorCode::kInvalidArgument);
}

TEST(Discretise, EdgesAtMultiplesAreThoseOfPyRadiomics) {
  Discretisation how = Width(25);
  how.pyradiomics_edges = true;
  EXPECT_EQ(Discretise(std::vector<double>{-3, 0, 24.9, 25, 47}, how)->levels,
            (Levels{1, 2, 2, 3, 3}));
  // The maximum on an edge begins a bin of its own.
  EXPECT_EQ(Discretise(std::vector<double>{25, 49, 50}, how)->levels, (Levels{1, 1, 2}));
}

TEST(Discretise, AFixedNumberPutsTheMaximumIntoTheLastBin) {
  Discretisation how;
  how.method = Method::kFixedBinNumber;
  how.bin_count = 4;
  const auto levels = Discretise(std::vector<double>{0, 1, 2, 3, 4}, how);
  EXPECT_EQ(levels->levels, (Levels{1, 2, 3, 4, 4}));
  EXPECT_EQ(levels->count, 4);
  EXPECT_EQ(Discretise(std::vector<double>{7, 7}, how)->levels, (Levels{1, 1}));
}

TEST(Discretise, RefusesWhatHasNoLevels) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Discretise({}, Width(25)).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Discretise(std::vector<double>{1, nan}, Width(25)).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(Discretise(std::vector<double>{1}, Width(0)).error().code, ErrorCode::kInvalidArgument);
  const auto many = Discretise(std::vector<double>{0, 1e6}, Width(1));
  ASSERT_EQ(many.error().code, ErrorCode::kOutOfRange);
  EXPECT_NE(many.error().message.find("1000001"), std::string::npos) << many.error().message;
  EXPECT_TRUE(Discretise(std::vector<double>{0, 65534}, Width(1)).has_value());
  Discretisation as_they_are;
  as_they_are.method = Method::kNone;
  EXPECT_EQ(Discretise(std::vector<double>{0, 3}, as_they_are).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(Intensity, OfAFlatRegionIsDefinedWhereItCanBe) {
  const std::vector<double> flat(10, 3);
  const IntensityFeatures f = IntensityStatistics(flat);
  EXPECT_EQ(f.variance, 0);
  EXPECT_EQ(f.skewness, 0);
  EXPECT_EQ(f.kurtosis, 0);
  EXPECT_EQ(f.root_mean_square, 3);
  const HistogramFeatures h = IntensityHistogram({Levels(10, 1), 1});
  EXPECT_EQ(h.entropy, 0);
  EXPECT_EQ(h.uniformity, 1);
  EXPECT_TRUE(std::isnan(h.maximum_gradient));
  EXPECT_TRUE(std::isnan(IntensityStatistics({}).mean));
}

TEST(IntensityHistogram, OfTwoModesTakesTheOneNearerToTheMean) {
  // Levels 1 and 5 twice each, 6 once: the mean is 3.6.
  EXPECT_EQ(IntensityHistogram({Levels{1, 1, 5, 5, 6}, 6}).mode, 5);
}

}  // namespace
}  // namespace consilium::engine
