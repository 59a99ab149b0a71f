#include "base/distributions.h"

#include <cmath>
#include <initializer_list>
#include <limits>

#include "base/portable_math.h"

namespace consilium {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kPi = 3.14159265358979323846;
constexpr double kSqrtTwoPi = 2.50662827463100050242;
constexpr int kSolveIterationsMax = 200;
constexpr int kFractionStepsMax = 1'000'000;
constexpr double kSeriesUpTo = 1000;  // of a + b

double NormalDensity(double x) { return Exp(-0.5 * x * x) / kSqrtTwoPi; }

// P(0 < Z < x), x >= 0: density times sum of x^(2k+1) / (1 3 5 ... (2k+1)) (A&S 26.2.11).
double NormalCentral(double x) {
  double term = x;
  double sum = x;
  for (int k = 1; term > sum * 1e-18; ++k) {
    term *= x * x / (2 * k + 1);
    sum += term;
  }
  return NormalDensity(x) * sum;
}

// P(Z > x), x >= 0. Beyond 3 by the continued fraction of Mills' ratio (A&S 26.2.14), from its far
// end; before 3 the difference to 1/2 costs less than three digits.
double NormalTail(double x) {
  if (x < 3) return 0.5 - NormalCentral(x);
  if (x > 40) return 0;
  double fraction = x;
  for (int k = 120; k >= 1; --k) fraction = x + k / fraction;
  return NormalDensity(x) / fraction;
}

// 1 / B(df / 2, 1 / 2), by B(a + 1, b) = B(a, b) a / (a + b) from B(1/2, 1/2) = pi or B(1, 1/2)
// = 2.
double InverseBetaHalf(int df) {
  double inverse = df % 2 == 1 ? 1 / kPi : 0.5;
  for (int twice_a = df % 2 == 1 ? 1 : 2; twice_a < df; twice_a += 2) {
    inverse *= static_cast<double>(twice_a + 1) / twice_a;
  }
  return inverse;
}

// base^exponent by repeated squaring; exponent >= 0.
double IntegerPower(double base, int exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result *= base;
    base *= base;
  }
  return result;
}

// cos and sin of the angle whose tangent is t / sqrt(df): x = cosine^2 is the argument of the
// incomplete beta function in A&S 26.7.1.
struct Angle {
  double cosine;
  double sine;
};

Angle AngleOf(double t, int df) {
  const double ratio = t / std::sqrt(static_cast<double>(df));
  if (ratio > 1) {
    const double inverse = 1 / ratio;
    const double root = std::sqrt(1 + inverse * inverse);
    return {inverse / root, 1 / root};
  }
  const double root = std::sqrt(1 + ratio * ratio);
  return {1 / root, ratio / root};
}

// I_x(a, b) without its factor 1 / B(a, b), by A&S 26.5.4: x^a (1 - x)^b / a times
// 1 + sum of products of (a + b + n) / (a + 1 + n) x; `power` is x^a (1 - x)^b.
double BetaSeries(double x, double a, double b, double power) {
  double term = 1;
  double sum = 1;
  for (int n = 0;; ++n) {
    const double ratio = (a + b + n) / (a + 1 + n) * x;
    term *= ratio;
    sum += term;
    if (ratio < 1 && term < sum * 1e-17 * (1 - ratio)) break;
  }
  return power / a * sum;
}

// P(T > t), t >= 0: half of I_{cos^2}(df / 2, 1 / 2).
double StudentTail(double t, int df) {
  const Angle angle = AngleOf(t, df);
  return 0.5 * InverseBetaHalf(df) *
         BetaSeries(angle.cosine * angle.cosine, 0.5 * df, 0.5,
                    IntegerPower(angle.cosine, df) * angle.sine);
}

// P(0 < T < t), t >= 0: half of I_{sin^2}(1 / 2, df / 2).
double StudentCentral(double t, int df) {
  const Angle angle = AngleOf(t, df);
  return 0.5 * InverseBetaHalf(df) *
         BetaSeries(angle.sine * angle.sine, 0.5, 0.5 * df,
                    angle.sine * IntegerPower(angle.cosine, df));
}

double StudentDensity(double t, int df) {
  return InverseBetaHalf(df) / std::sqrt(static_cast<double>(df)) *
         IntegerPower(AngleOf(t, df).cosine, df + 1);
}

// Natural logarithm of the gamma function of x > 0: Stirling's series (A&S 6.1.41) from 10 on,
// whose next term is below 1e-16, and x Gamma(x) = Gamma(x + 1) below.
double LogGamma(double x) {
  double product = 1;
  for (; x < 10; ++x) product *= x;
  const double inverse = 1 / x, square = inverse * inverse;
  double series = 0;
  for (const double term :
       {1.0 / 156, -691.0 / 360360, 1.0 / 1188, -1.0 / 1680, 1.0 / 1260, -1.0 / 360, 1.0 / 12}) {
    series = series * square + term;
  }
  return (x - 0.5) * Log(x) - x + Log(kSqrtTwoPi) + series * inverse - Log(product);
}

// The incomplete beta function behind F's tails (A&S 26.6.2): for x = numerator's share of
// nu_1 f + nu_2, P(X <= f) = I_x(nu_1 / 2, nu_2 / 2).
struct FTails {
  double lower, upper;
  double density;  // times f
};
// The same by the continued fraction of A&S 26.5.8, evaluated from its beginning by Lentz's method
// (Applied Optics 15:668-671, 1976). Where a and b are large the series has about as many terms,
// the fraction the root of that. x < a / (a + b).
double BetaFraction(double x, double a, double b, double power) {
  double of_terms = 1;  // ratio of the numerators of one convergent and the one before
  double of_ends = 1 / (1 - (a + b) * x / (a + 1));  // of the denominators, upside down
  double fraction = of_ends;
  const auto step = [&](double coefficient) {
    of_ends = 1 / (1 + coefficient * of_ends);
    of_terms = 1 + coefficient / of_terms;
    fraction *= of_ends * of_terms;
  };
  for (int m = 1; m < kFractionStepsMax; ++m) {
    const double at = a + 2.0 * m;
    step(m * (b - m) * x / ((at - 1) * at));
    step(-(a + m) * (a + b + m) * x / (at * (at + 1)));
    if (std::fabs(of_ends * of_terms - 1) < 3e-16) break;
  }
  return power / a * fraction;
}

double BetaPart(double x, double a, double b, double power) {
  return a + b < kSeriesUpTo ? BetaSeries(x, a, b, power) : BetaFraction(x, a, b, power);
}

FTails FTailsAt(double f, const FDegrees& df) {
  const double a = df.numerator / 2, b = df.denominator / 2;
  const double all = df.numerator * f + df.denominator;
  const double x = df.numerator * f / all, rest = df.denominator / all;
  const double power =
      Exp(a * Log(x) + b * Log(rest) + LogGamma(a + b) - LogGamma(a) - LogGamma(b));
  // Of the smaller side: its series has positive terms that fall from the start.
  if (x < a / (a + b)) {
    const double lower = BetaPart(x, a, b, power);
    return {lower, 1 - lower, power};
  }
  const double upper = BetaPart(rest, b, a, power);
  return {1 - upper, upper, power};
}

// The x > 0 where the increasing `excess` crosses zero: bracketed by doubling, then Newton's steps
// with `slope`, halving wherever a step leaves the bracket.
template <typename Excess, typename Slope>
double SolveIncreasing(double start, const Excess& excess, const Slope& slope) {
  double low = 0;
  double high = start;
  while (excess(high) < 0 && high < 0x1p1000) {
    low = high;
    high *= 2;
  }
  double x = low > 0 ? 0.5 * (low + high) : high;
  for (int iteration = 0; iteration < kSolveIterationsMax; ++iteration) {
    const double value = excess(x);
    if (value == 0) break;
    (value < 0 ? low : high) = x;
    const double newton = x - value / slope(x);
    const double next = newton > low && newton < high ? newton : 0.5 * (low + high);
    const double change = std::fabs(next - x);
    x = next;
    if (change <= 2e-16 * x) break;
  }
  return x;
}

}  // namespace

double NormalCdf(double x) {
  if (std::isnan(x)) return x;
  if (x < 0) return NormalTail(-x);
  return x < 3 ? 0.5 + NormalCentral(x) : 1 - NormalTail(x);
}

double NormalQuantile(double probability) {
  if (!(probability >= 0 && probability <= 1)) return kNaN;
  if (probability > 0.5) return -NormalQuantile(1 - probability);
  if (probability == 0.5) return 0;
  if (probability == 0) return -kInfinity;
  if (probability > 0.1) {
    const double area = 0.5 - probability;
    return -SolveIncreasing(
        2.0, [&](double x) { return NormalCentral(x) - area; },
        [](double x) { return NormalDensity(x); });
  }
  // In the tail, on the logarithm: nearly quadratic, so Newton's steps are long and safe.
  return -SolveIncreasing(
      2.0, [&](double x) { return Log(probability / NormalTail(x)); },
      [](double x) { return NormalDensity(x) / NormalTail(x); });
}

double NormalTwoSided(double level) { return -NormalQuantile(0.5 * (1 - level)); }

double StudentTCdf(double t, int df) {
  if (df < 1 || std::isnan(t)) return kNaN;
  const double size = std::fabs(t);
  if (std::isinf(t)) return t < 0 ? 0 : 1;
  if (size < 1) {
    return t < 0 ? 0.5 - StudentCentral(size, df) : 0.5 + StudentCentral(size, df);
  }
  const double tail = StudentTail(size, df);
  return t < 0 ? tail : 1 - tail;
}

double StudentTQuantile(double probability, int df) {
  if (df < 1 || !(probability >= 0 && probability <= 1)) return kNaN;
  if (probability > 0.5) return -StudentTQuantile(1 - probability, df);
  if (probability == 0.5) return 0;
  if (probability == 0) return -kInfinity;
  if (probability > 0.25) {  // the upper quartile is at most 1, for one degree of freedom
    const double area = 0.5 - probability;
    return -SolveIncreasing(
        1.0, [&](double t) { return StudentCentral(t, df) - area; },
        [&](double t) { return StudentDensity(t, df); });
  }
  // Tails fall like a power of t: relative to t, the logarithm of the tail is nearly straight.
  return -SolveIncreasing(
      1.0, [&](double t) { return Log(probability / StudentTail(t, df)); },
      [&](double t) { return StudentDensity(t, df) / StudentTail(t, df); });
}

double StudentTTwoSided(double level, int df) { return -StudentTQuantile(0.5 * (1 - level), df); }

// A&S 26.4.4 (odd) and 26.4.5 (even): a finite sum of Poisson-like terms.
double ChiSquareUpperTail(double x, int df) {
  if (df < 1 || std::isnan(x)) return kNaN;
  if (x <= 0) return 1;
  const double half = 0.5 * x;
  if (df % 2 == 0) {
    double term = 1;
    double sum = 1;
    for (int j = 1; j < df / 2; ++j) {
      term *= half / j;
      sum += term;
    }
    return Exp(-half) * sum;
  }
  const double root = std::sqrt(x);
  double term = root;
  double sum = 0;
  for (int j = 1; j < df; j += 2) {
    sum += term;
    term *= x / (j + 2);
  }
  return 2 * (NormalTail(root) + NormalDensity(root) * sum);
}

double FUpperTail(double x, const FDegrees& df) {
  if (!(df.numerator > 0 && df.denominator > 0) || std::isnan(x)) return kNaN;
  if (x <= 0) return 1;
  return std::isinf(x) ? 0 : FTailsAt(x, df).upper;
}

double FQuantile(double probability, const FDegrees& df) {
  if (!(df.numerator > 0 && df.denominator > 0) || !(probability >= 0 && probability <= 1))
    return kNaN;
  if (probability > 0.5) return 1 / FQuantile(1 - probability, {df.denominator, df.numerator});
  if (probability == 0) return 0;
  return SolveIncreasing(
      1.0, [&](double f) { return Log(FTailsAt(f, df).lower / probability); },
      [&](double f) {
        const FTails tails = FTailsAt(f, df);
        return tails.density / (f * tails.lower);
      });
}

}  // namespace consilium
