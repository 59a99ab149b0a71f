// Sine and cosine with the same bits on every machine, for arguments up to some thousands.
//
// The argument less the nearest multiple of pi / 2, which is subtracted in three parts (Cody &
// Waite, Software Manual for the Elementary Functions, 1980), then the Taylor series on
// [-pi / 4, pi / 4], whose next term is below 1e-17.
#pragma once

#include <cmath>
#include <cstdint>

namespace consilium::engine {

struct SineCosine {
  double sine, cosine;
};

[[nodiscard]] inline SineCosine SineCosineOf(double x) {
  constexpr double kTwoOverPi = 0.63661977236758134308;
  constexpr double kHigh = 1.5707963267341256e+00, kMiddle = 6.0771005063039010e-11,
                   kLow = 2.0222662487959506e-21;
  const double quarters = std::floor(x * kTwoOverPi + 0.5);
  const double r = ((x - quarters * kHigh) - quarters * kMiddle) - quarters * kLow, rr = r * r;
  double sine = 0, cosine = 0;
  for (int k = 17; k >= 3; k -= 2) sine = (1 + sine) * -rr / (k * (k - 1));
  for (int k = 18; k >= 2; k -= 2) cosine = (1 + cosine) * -rr / (k * (k - 1));
  sine = r * (1 + sine);
  cosine = 1 + cosine;
  switch (static_cast<std::int64_t>(quarters) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

}  // namespace consilium::engine
