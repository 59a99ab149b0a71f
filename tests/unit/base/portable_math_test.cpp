#include "base/portable_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"

namespace consilium {
namespace {

// Distance in units of the last place, against long double from libm (another road).
double UlpError(double value, long double exact) {
  const auto rounded = static_cast<double>(exact);
  const double ulp = std::nextafter(std::fabs(rounded), std::numeric_limits<double>::infinity()) -
                     std::fabs(rounded);
  return static_cast<double>(std::fabs(static_cast<long double>(value) - exact) /
                             static_cast<long double>(ulp));
}

TEST(PortableMath, ExpIsWithinOneUlpOverItsWholeRange) {
  Rng rng(1, "exp");
  double worst = 0;
  for (int i = 0; i < 400000; ++i) {
    const double x = (i % 2 == 0) ? (rng.Uniform() - 0.5) * 1400 : (rng.Uniform() - 0.5) * 4;
    worst = std::max(worst, UlpError(Exp(x), std::exp(static_cast<long double>(x))));
  }
  EXPECT_LT(worst, 0.6);
  EXPECT_EQ(Exp(0), 1);
  EXPECT_EQ(Exp(-1000), 0);
  EXPECT_TRUE(std::isinf(Exp(1000)));
  EXPECT_TRUE(std::isnan(Exp(std::nan(""))));
}

TEST(PortableMath, LogIsWithinOneUlpEvenNearOne) {
  Rng rng(1, "log");
  double worst = 0;
  for (int i = 0; i < 400000; ++i) {
    const double x =
        i % 3 == 0   ? 1 + (rng.Uniform() - 0.5) * 0.01
        : i % 3 == 1 ? rng.Uniform() * 10
                     : std::ldexp(rng.Uniform() + 0.1, static_cast<int>(rng.Below(2000)) - 1000);
    worst = std::max(worst, UlpError(Log(x), std::log(static_cast<long double>(x))));
  }
  EXPECT_LT(worst, 0.8);
  EXPECT_EQ(Log(1), 0);
  EXPECT_TRUE(std::isinf(Log(0)));
  EXPECT_TRUE(std::isnan(Log(-1)));
}

TEST(PortableMath, Log1pExpitAndSoftPlusKeepSmallNumbers) {
  Rng rng(1, "log1p");
  for (int i = 0; i < 100000; ++i) {
    const double x = std::ldexp(rng.Uniform(), -static_cast<int>(rng.Below(60)));
    EXPECT_LT(UlpError(Log1p(x), std::log1p(static_cast<long double>(x))), 2.0) << x;
  }
  EXPECT_EQ(Expit(0), 0.5);
  EXPECT_NEAR(Expit(-40) / std::exp(-40.0), 1, 1e-14);
  EXPECT_EQ(SoftPlus(800), 800);
  EXPECT_NEAR(SoftPlus(-700) / std::exp(-700.0), 1, 1e-14);
  EXPECT_NEAR(Logit(Expit(3.25)), 3.25, 1e-14);
}

}  // namespace
}  // namespace consilium
