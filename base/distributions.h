// The normal, Student, chi-square and F distributions with the same bits on every x86-64.
//
// Only +, -, *, /, sqrt and base/portable_math.h are used. Every sum below has positive terms, so
// tails keep their relative accuracy: better than 1e-12 for |x| <= 37 (normal), df <= 1000
// (Student) and x <= 700 (chi-square), measured by the unit test against 60-digit values.
// Sources: Abramowitz & Stegun, Handbook of Mathematical Functions, 1964, 26.2 (normal), 26.4
// (chi-square), 26.5.4, 26.6 and 26.7 (incomplete beta series, F and Student's t), 6.1.41 (log
// gamma).
#pragma once

namespace consilium {

// P(Z <= x) for a standard normal Z.
[[nodiscard]] double NormalCdf(double x);
// The x with P(Z <= x) = probability; -inf at 0, +inf at 1, NaN outside [0, 1].
[[nodiscard]] double NormalQuantile(double probability);
// The half-width in standard errors of a two-sided interval: 1.9599... at level = 0.95.
// level in (0, 1).
[[nodiscard]] double NormalTwoSided(double level);

// P(T <= t) for Student's T with df >= 1 degrees of freedom; NaN for df < 1.
[[nodiscard]] double StudentTCdf(double t, int df);
// The t with P(T <= t) = probability; -inf at 0, +inf at 1, NaN outside [0, 1] or for df < 1.
[[nodiscard]] double StudentTQuantile(double probability, int df);
// As NormalTwoSided, from Student's T: 12.706... at level = 0.95 and df = 1.
[[nodiscard]] double StudentTTwoSided(double level, int df);

// P(X > x) for a chi-square X with df >= 1 degrees of freedom: the p value of a Q statistic. 1 for
// x <= 0; NaN for df < 1.
[[nodiscard]] double ChiSquareUpperTail(double x, int df);

// Degrees of freedom of the mean squares that a variance ratio divides; real, each > 0.
struct FDegrees {
  double numerator = 1, denominator = 1;
};
// P(X > x) for Fisher's F; 1 for x <= 0, NaN unless both df > 0.
[[nodiscard]] double FUpperTail(double x, const FDegrees& df);
// The x with P(X <= x) = probability; 0 at 0, +inf at 1, NaN outside [0, 1] or unless both df > 0.
[[nodiscard]] double FQuantile(double probability, const FDegrees& df);

}  // namespace consilium
