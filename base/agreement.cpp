#include "base/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/distributions.h"
#include "base/portable_math.h"

namespace consilium {
namespace {

// Below, the interval would be everything, and F's quantile beyond all numbers.
constexpr double kLeastDf = 0.01;

double Squared(double x) { return x * x; }

bool AllFinite(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); });
}

tl::unexpected<Error> NotFinite() {
  return Fail(ErrorCode::kInvalidArgument,
              "a measurement is not a finite number; leave its subject out of all repeats");
}

// At most 0 by rounding alone.
double AtLeastZero(double x) { return std::max(x, 0.0); }

Limits OfRatios(double low, double high, double k) {
  return {(low - 1) / (low + k - 1), (high - 1) / (high + k - 1)};
}

}  // namespace

Result<RepeatSums> SumRepeats(std::span<const double> values, int repeats, double centre) {
  if (repeats < 2 || values.size() % static_cast<std::size_t>(repeats) != 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} values of {} repeats, expected two repeats or more and each of "
                            "every subject",
                            values.size(), repeats));
  }
  if (!AllFinite(values) || !std::isfinite(centre)) return NotFinite();
  const auto k = static_cast<std::size_t>(repeats);
  RepeatSums sums;
  sums.centre = centre;
  sums.by_repeat.resize(k);
  for (std::size_t row = 0; row < values.size(); row += k) {
    double sum = 0;
    for (std::size_t j = 0; j < k; ++j) {
      const double x = values[row + j] - centre;
      sum += x;
      sums.by_repeat[j] += x;
      sums.squares += x * x;
    }
    ++sums.subjects;
    sums.subject_squares += sum * sum / repeats;
    double within = 0;
    for (std::size_t j = 0; j < k; ++j) within += Squared(values[row + j] - centre - sum / repeats);
    sums.relative_variances += within / (repeats - 1) / Squared(centre + sum / repeats);
  }
  return sums;
}

Result<RepeatSums> Together(const RepeatSums& a, const RepeatSums& b) {
  if (a.by_repeat.size() != b.by_repeat.size() || a.centre != b.centre) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("sums of {} and {} repeats, about {} and {}, do not add up; agree on "
                            "both first",
                            a.by_repeat.size(), b.by_repeat.size(), a.centre, b.centre));
  }
  RepeatSums sums = a;
  sums.subjects += b.subjects;
  for (std::size_t j = 0; j < b.by_repeat.size(); ++j) sums.by_repeat[j] += b.by_repeat[j];
  sums.subject_squares += b.subject_squares;
  sums.squares += b.squares;
  sums.relative_variances += b.relative_variances;
  return sums;
}

RepeatSums Recentred(const RepeatSums& sums, double centre) {
  const double shift = centre - sums.centre, n = static_cast<double>(sums.subjects);
  RepeatSums moved = sums;
  moved.centre = centre;
  double all = 0;
  for (double& sum : moved.by_repeat) {
    all += sum;
    sum -= n * shift;
  }
  const double change = shift * (n * static_cast<double>(sums.by_repeat.size()) * shift - 2 * all);
  moved.subject_squares = AtLeastZero(moved.subject_squares + change);
  moved.squares = AtLeastZero(moved.squares + change);
  return moved;
}

Result<Anova> AnovaOf(const RepeatSums& sums) {
  if (sums.subjects < 2 || sums.by_repeat.size() < 2) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{} subjects with {} repeats, expected two of both or more",
                            sums.subjects, sums.by_repeat.size()));
  }
  const auto n = static_cast<double>(sums.subjects), k = static_cast<double>(sums.by_repeat.size());
  double all = 0, repeat_squares = 0;
  for (const double sum : sums.by_repeat) {
    all += sum;
    repeat_squares += sum * sum / n;
  }
  const double of_mean = all * all / (n * k);
  Anova anova;
  anova.repeats = static_cast<int>(sums.by_repeat.size());
  anova.blocks = 1;
  anova.subjects = sums.subjects;
  anova.between_subjects = AtLeastZero(sums.subject_squares - of_mean);
  anova.between_repeats = AtLeastZero(repeat_squares - of_mean);
  anova.rest = AtLeastZero(sums.squares - sums.subject_squares - repeat_squares + of_mean);
  return anova;
}

Result<Anova> AsBlocks(const Anova& a, const Anova& b) {
  if (a.repeats != b.repeats) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("blocks of {} and {} repeats have no common analysis of variance",
                            a.repeats, b.repeats));
  }
  return Anova{a.repeats,
               a.blocks + b.blocks,
               a.subjects + b.subjects,
               a.between_subjects + b.between_subjects,
               a.between_repeats + b.between_repeats,
               a.rest + b.rest};
}

Agreement IccOf(const Anova& anova, IccForm form, double level) {
  const double k = anova.repeats, msr = anova.msr(), mse = anova.mse(), msc = anova.msc();
  const double subjects = anova.subject_df();
  const double beyond = (1 + level) / 2;  // the quantile of a two-sided interval
  if (form != IccForm::kAgreement) {
    const bool one_way = form == IccForm::kOneWay;
    const double noise = one_way ? anova.msw() : mse;
    const double noise_df = one_way ? anova.within_df() : anova.rest_df();
    Agreement icc{(msr - noise) / (msr + (k - 1) * noise), {}};
    const double ratio = msr / noise;
    if (std::isfinite(ratio) && level > 0 && level < 1) {
      icc.interval = OfRatios(ratio / FQuantile(beyond, {subjects, noise_df}),
                              ratio * FQuantile(beyond, {noise_df, subjects}), k);
    }
    return icc;
  }
  const double n = static_cast<double>(anova.subjects) / static_cast<double>(anova.blocks);
  const double shift = k * (msc - mse) / n;
  const double value = (msr - mse) / (msr + (k - 1) * mse + shift);
  Agreement icc{value, {}};
  // The noise that F compares with is a mix of two mean squares (Satterthwaite's degrees).
  const double odds = k * value / (n * (1 - value));
  const double of_repeats = odds * msc, of_rest = (1 + odds * (n - 1)) * mse;
  const double df = Squared(of_repeats + of_rest) /
                    (Squared(of_repeats) / anova.repeat_df() + Squared(of_rest) / anova.rest_df());
  if (!std::isfinite(df) || !(df >= kLeastDf) || !(level > 0 && level < 1)) return icc;
  const double noise = k * msc + (k * n - k - n) * mse;
  const double low = FQuantile(beyond, {subjects, df}), high = FQuantile(beyond, {df, subjects});
  icc.interval = Limits{n * (msr - low * mse) / (low * noise + n * msr),
                        n * (high * msr - mse) / (noise + n * high * msr)};
  return icc;
}

Result<Repeatability> RepeatabilityOf(const RepeatSums& sums) {
  const auto anova = AnovaOf(sums);
  CONSILIUM_TRY(anova);
  Repeatability result;
  result.within_subject_sd = std::sqrt(anova->msw());
  result.coefficient = NormalTwoSided(0.95) * std::sqrt(2 * anova->msw());
  const double relative = sums.relative_variances / static_cast<double>(sums.subjects);
  result.within_subject_cv = std::isfinite(relative) ? std::sqrt(relative) : std::nan("");
  return result;
}

Result<PairSums> SumPairs(std::span<const double> x, std::span<const double> y, double centre) {
  if (x.size() != y.size()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} and {} measurements are no pairs", x.size(), y.size()));
  }
  if (!AllFinite(x) || !AllFinite(y) || !std::isfinite(centre)) return NotFinite();
  PairSums sums;
  sums.centre = centre;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double a = x[i] - centre, b = y[i] - centre;
    ++sums.pairs;
    sums.x += a;
    sums.y += b;
    sums.xx += a * a;
    sums.yy += b * b;
    sums.difference_squares += Squared(x[i] - y[i]);
  }
  return sums;
}

Result<PairSums> Together(const PairSums& a, const PairSums& b) {
  if (a.centre != b.centre) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("sums about {} and {} do not add up; agree on one", a.centre, b.centre));
  }
  return PairSums{a.centre,
                  a.pairs + b.pairs,
                  a.x + b.x,
                  a.y + b.y,
                  a.xx + b.xx,
                  a.yy + b.yy,
                  a.difference_squares + b.difference_squares};
}

Result<Agreement> ConcordanceOf(const PairSums& sums, double level) {
  const auto n = static_cast<double>(sums.pairs);
  const double shift = (sums.x - sums.y) / n;
  const double xx = AtLeastZero(sums.xx / n - Squared(sums.x / n)),
               yy = AtLeastZero(sums.yy / n - Squared(sums.y / n));
  const double apart = sums.difference_squares / n;  // xx + yy - 2 xy + shift^2
  const double whole = xx + yy + shift * shift;
  if (sums.pairs < 2 || !(whole > 0)) {
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("{} pairs do not vary; expected two different ones or more", sums.pairs));
  }
  Agreement result{1 - apart / whole, {}};
  const double c = result.value, xy = (whole - apart) / 2;
  const double r = xy / std::sqrt(xx * yy);
  if (sums.pairs < 3 || !(std::abs(c) < 1) || c == 0 || !(level > 0 && level < 1)) return result;
  const double u2 = shift * shift / std::sqrt(xx * yy);
  const double variance =
      (Squared(c) * (1 - r * r) * (1 - c * c) / (r * r) + 2 * c * c * c * (1 - c) * u2 / r -
       c * c * c * c * u2 * u2 / (2 * r * r)) /
      (n - 2);
  if (!(variance > 0) || !std::isfinite(variance)) return result;
  const double z = (Log1p(c) - Log1p(-c)) / 2;
  const double half = NormalTwoSided(level) * std::sqrt(variance) / (1 - c * c);
  const auto back = [](double t) { return 2 * Expit(2 * t) - 1; };  // hyperbolic tangent
  result.interval = Limits{back(z - half), back(z + half)};
  return result;
}

Result<double> OverallConcordanceOf(const RepeatSums& sums) {
  const auto n = static_cast<double>(sums.subjects), k = static_cast<double>(sums.by_repeat.size());
  double means = 0, squared_means = 0;
  for (const double sum : sums.by_repeat) {
    means += sum / n;
    squared_means += Squared(sum / n);
  }
  const double variances = AtLeastZero(sums.squares / n - squared_means);
  const double covariances =  // of all pairs, twice: the variance of the subjects' sums, less those
      k * sums.subject_squares / n - means * means - variances;
  const double whole = (k - 1) * variances + AtLeastZero(k * squared_means - means * means);
  if (sums.subjects < 2 || sums.by_repeat.size() < 2 || !(whole > 0)) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{} subjects in {} repeats do not vary; expected two different ones or "
                            "more, in two repeats or more",
                            sums.subjects, sums.by_repeat.size()));
  }
  return covariances / whole;
}

Result<BlandAltman> LimitsOfAgreement(const PairSums& sums, double level) {
  if (!(level > 0 && level < 1))
    return Fail(ErrorCode::kInvalidArgument, fmt::format("level = {}, must be in (0, 1)", level));
  if (sums.pairs < 2) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{} pairs, expected two or more", sums.pairs));
  }
  const auto n = static_cast<double>(sums.pairs);
  const double mean = (sums.x - sums.y) / n;
  const double variance = AtLeastZero(sums.difference_squares - n * mean * mean) / (n - 1);
  const double t = StudentTTwoSided(level, static_cast<int>(sums.pairs - 1));
  const auto with_interval = [&](double value, double times) {
    const double half = t * std::sqrt(times * variance / n);
    return Agreement{value, Limits{value - half, value + half}};
  };
  const double reach = NormalTwoSided(level) * std::sqrt(variance);
  return BlandAltman{with_interval(mean, 1), with_interval(mean - reach, 3),
                     with_interval(mean + reach, 3), std::sqrt(variance)};
}

}  // namespace consilium
