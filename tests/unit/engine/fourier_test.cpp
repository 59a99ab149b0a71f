#include "engine/fourier.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/rng.h"

namespace consilium::engine {
namespace {

using Complex = std::complex<double>;

Spectrum RandomValues(std::size_t count) {
  Rng rng(11, "fourier");
  Spectrum values(count);
  for (Complex& value : values) value = {rng.Normal(), rng.Normal()};
  return values;
}

// The definition, of a line.
Spectrum SlowTransform(const Spectrum& line) {
  const std::size_t n = line.size();
  Spectrum result(n);
  for (std::size_t f = 0; f < n; ++f) {
    for (std::size_t k = 0; k < n; ++k) {
      const double angle =
          -2 * std::numbers::pi * static_cast<double>(f * k % n) / static_cast<double>(n);
      result[f] += line[k] * Complex(std::cos(angle), std::sin(angle));
    }
  }
  return result;
}

TEST(Fourier, OfALineOfAnyLengthIsTheDefinitions) {
  for (int n = 1; n <= 64; ++n) {
    const Spectrum line = RandomValues(static_cast<std::size_t>(n));
    const Spectrum expected = SlowTransform(line);
    Spectrum ours = line;
    Transform(ours, {n, 1, 1}, 3, Direction::kForward);
    for (std::size_t f = 0; f < line.size(); ++f)
      ASSERT_LT(std::abs(ours[f] - expected[f]), 1e-12) << n << " points, frequency " << f;
  }
  for (const int n : {197, 211, 243, 250, 256, 509}) {
    const Spectrum line = RandomValues(static_cast<std::size_t>(n));
    const Spectrum expected = SlowTransform(line);
    Spectrum ours = line;
    Transform(ours, {1, n, 1}, 2, Direction::kForward);
    for (std::size_t f = 0; f < line.size(); ++f)
      ASSERT_LT(std::abs(ours[f] - expected[f]), 1e-11) << n << " points, frequency " << f;
  }
}

TEST(Fourier, GoesAlongTheFirstAxesOnly) {
  const std::array<int, 3> size = {3, 20, 2};
  const Spectrum values = RandomValues(120);
  Spectrum planes = values, expected = values;
  Transform(planes, size, 2, Direction::kForward);
  for (std::size_t z = 0; z < 2; ++z) {
    for (std::size_t y = 0; y < 20; ++y) {
      const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(z * 60 + y * 3);
      const Spectrum line = SlowTransform({begin, begin + 3});
      std::copy(line.begin(), line.end(), begin);
    }
    for (std::size_t x = 0; x < 3; ++x) {
      Spectrum line;
      for (std::size_t y = 0; y < 20; ++y) line.push_back(expected[z * 60 + y * 3 + x]);
      line = SlowTransform(line);
      for (std::size_t y = 0; y < 20; ++y) expected[z * 60 + y * 3 + x] = line[y];
    }
  }
  for (std::size_t i = 0; i < 120; ++i) EXPECT_LT(std::abs(planes[i] - expected[i]), 1e-12) << i;
}

TEST(Fourier, AndItsInverseGiveTheImageBack) {
  const std::array<int, 3> size = {18, 7, 22};
  const Spectrum values = RandomValues(18 * 7 * 22);
  Spectrum there_and_back = values;
  Transform(there_and_back, size, 3, Direction::kForward);
  Transform(there_and_back, size, 3, Direction::kInverse);
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_LT(std::abs(there_and_back[i] - values[i]), 1e-13);
}

TEST(Fourier, SmoothSizesHaveNoFactorAboveFive) {
  EXPECT_EQ(SmoothSize(1), 1);
  EXPECT_EQ(SmoothSize(7), 8);
  EXPECT_EQ(SmoothSize(127), 128);
  EXPECT_EQ(SmoothSize(241), 243);
  EXPECT_EQ(SmoothSize(250), 250);
}

}  // namespace
}  // namespace consilium::engine
