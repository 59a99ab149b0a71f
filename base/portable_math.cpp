#include "base/portable_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/portable_math_tables.h"

namespace consilium {
namespace {

using internal::k64OverLn2;
using internal::kExp2Table;
using internal::kLn2High;
using internal::kLn2Low;
using internal::kLn2Over64High;
using internal::kLn2Over64Low;
using internal::kLogTable;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// value * 2^exponent for normal results; exponent in [-1022, 1023].
double ScaleByPowerOfTwo(double value, int exponent) {
  return value * std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

}  // namespace

// x = (64 m + j) ln2/64 + r with |r| <= ln2/128: e^x = 2^m * 2^(j/64) * e^r, e^r by its Taylor
// series (the sixth-order term is below 2^-54).
double Exp(double x) {
  if (std::isnan(x)) return x;
  if (x > 709.782712893384) return kInfinity;
  if (x < -745.1332191019412) return 0;
  const double k_rounded = std::floor(x * k64OverLn2 + 0.5);
  const int k = static_cast<int>(k_rounded);
  const int j = k & 63;
  int m = (k - j) / 64;
  const double r_high = x - k_rounded * kLn2Over64High;
  const double r_low = k_rounded * kLn2Over64Low;
  const double r = r_high - r_low;
  const double tail =
      r * r * (0.5 + r * (1.0 / 6 + r * (1.0 / 24 + r * (1.0 / 120 + r * (1.0 / 720)))));
  const double p = ((r_high - r) - r_low) + tail;
  const double high = kExp2Table[j][0];
  const double result = high + (high * (r + p) + kExp2Table[j][1]);
  if (m < -1021)
    return ScaleByPowerOfTwo(ScaleByPowerOfTwo(result, m + 100),
                             -100);  // subnormal: rounds once more
  if (m > 1023) return ScaleByPowerOfTwo(ScaleByPowerOfTwo(result, m - 1), 1);
  return ScaleByPowerOfTwo(result, m);
}

// x = 2^k m, m in [sqrt(1/2), sqrt 2); c = j/256 nearest to 1/m; r = m c - 1 exactly up to one
// rounding (c has 9 bits, m is split in two halves); log x = k ln2 - log c + log1p(r), |r| < 1/256.
double Log(double x) {
  if (std::isnan(x) || x == kInfinity) return x;
  if (x < 0) return std::numeric_limits<double>::quiet_NaN();
  if (x == 0) return -kInfinity;
  int k = 0;
  if (x < std::numeric_limits<double>::min()) {
    x *= 0x1p54;
    k = -54;
  }
  const auto bits = std::bit_cast<std::uint64_t>(x);
  k += static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffffULL) | 0x3ff0000000000000ULL);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++k;
  }
  const int j = static_cast<int>(std::floor(256.0 / m + 0.5));
  const double c = static_cast<double>(j) / 256.0;
  const double m_high =
      std::bit_cast<double>(std::bit_cast<std::uint64_t>(m) & 0xfffffffff8000000ULL);
  const double m_low = m - m_high;
  const double r_high = m_high * c - 1.0;
  const double r_low = m_low * c;
  const double r = r_high + r_low;
  const double r_error = (r_high - r) + r_low;
  const double series =
      r * r *
      (-0.5 +
       r * (1.0 / 3 + r * (-0.25 + r * (0.2 + r * (-1.0 / 6 + r * (1.0 / 7 + r * -0.125))))));
  const double high = static_cast<double>(k) * kLn2High + kLogTable[j - 181][0];
  const double low = static_cast<double>(k) * kLn2Low + kLogTable[j - 181][1];
  const double sum = high + r;
  const double sum_error = high == 0 ? 0 : (high - sum) + r;
  return sum + (sum_error + (low + (r_error + series)));
}

double Log1p(double x) {
  const double u = 1.0 + x;
  if (u == 1.0) return x;
  if (std::isinf(u)) return Log(u);
  return Log(u) + (x - (u - 1.0)) / u;  // the rounding of 1 + x, put back to first order
}

double Expit(double x) {
  if (x >= 0) return 1.0 / (1.0 + Exp(-x));
  const double e = Exp(x);
  return e / (1.0 + e);
}

double Logit(double p) { return Log(p / (1.0 - p)); }

double SoftPlus(double x) { return (x > 0 ? x : 0.0) + Log1p(Exp(-std::fabs(x))); }

}  // namespace consilium
