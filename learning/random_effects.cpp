#include "learning/random_effects.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/distributions.h"

namespace consilium::learning {
namespace {

// Sums at one tau2, in the order of the centers.
struct WeightedSums {
  double w = 0;
  double w2 = 0;
  double w3 = 0;
  double mean = 0;
  double q = 0;         // sum w (y - mean)^2
  double residual = 0;  // sum w^2 (y - mean)^2 = y'PPy

  [[nodiscard]] double trace_p() const { return w - w2 / w; }
  [[nodiscard]] double trace_pp() const { return w2 - 2 * w3 / w + (w2 / w) * (w2 / w); }
};

WeightedSums SumsAt(std::span<const CenterEffect> effects, double tau2) {
  WeightedSums sums;
  double wy = 0;
  for (const CenterEffect& effect : effects) {
    const double w = 1 / (effect.variance + tau2);
    sums.w += w;
    sums.w2 += w * w;
    sums.w3 += w * w * w;
    wy += w * effect.value;
  }
  sums.mean = wy / sums.w;
  for (const CenterEffect& effect : effects) {
    const double w = 1 / (effect.variance + tau2);
    const double r = effect.value - sums.mean;
    sums.q += w * r * r;
    sums.residual += w * w * r * r;
  }
  return sums;
}

// Hedges' estimate: variance of the values less the mean variance.
double Hedges(std::span<const CenterEffect> effects) {
  const double k = static_cast<double>(effects.size());
  double mean = 0;
  double variance = 0;
  for (const CenterEffect& effect : effects) {
    mean += effect.value / k;
    variance += effect.variance / k;
  }
  double spread = 0;
  for (const CenterEffect& effect : effects) {
    spread += (effect.value - mean) * (effect.value - mean);
  }
  return std::max(0.0, spread / (k - 1) - variance);
}

struct Tau {
  double tau2 = 0;
  int iterations = 0;
};

// The zero of the restricted score y'PPy - tr(P) by Fisher scoring from Hedges' estimate; a step
// that leaves the bracket of seen signs is replaced by the bracket's middle, so the search cannot
// cycle.
Result<Tau> SolveReml(std::span<const CenterEffect> effects, double typical,
                      const RandomEffectsOptions& options) {
  double tau2 = Hedges(effects);
  double low = -std::numeric_limits<double>::infinity();  // the largest tau2 with a positive score
  double high = std::numeric_limits<double>::infinity();
  for (int iteration = 1; iteration <= options.iterations_max; ++iteration) {
    const WeightedSums sums = SumsAt(effects, tau2);
    const double score = sums.residual - sums.trace_p();
    if (tau2 == 0 && score <= 0) return Tau{0, iteration};
    (score > 0 ? low : high) = tau2;
    double next = tau2 + score / sums.trace_pp();
    if (next <= low || next >= high) next = 0.5 * (std::max(low, 0.0) + high);
    if (next < 0 || (low < 0 && next < tau2 * 1e-3)) next = 0;
    const bool stop = std::fabs(next - tau2) <= options.tolerance * (tau2 + typical);
    tau2 = next;
    if (stop && (tau2 > 0 || low >= 0)) return Tau{tau2, iteration};
  }
  return Fail(ErrorCode::kInternal,
              fmt::format("random effects: REML did not converge in {} iterations over {} centers; "
                          "report the centers' own figures",
                          options.iterations_max, effects.size()));
}

}  // namespace

Result<RandomEffects> CombineEffects(std::span<const CenterEffect> effects,
                                     const RandomEffectsOptions& options) {
  if (!(options.level > 0 && options.level < 1)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("random effects: level = {}, must be in (0, 1)", options.level));
  }
  if (effects.size() < 2) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("random effects: found {} centers, expected at least 2; list the "
                            "centers instead",
                            effects.size()));
  }
  for (std::size_t i = 0; i < effects.size(); ++i) {
    if (!std::isfinite(effects[i].value) || !(effects[i].variance > 0) ||
        !std::isfinite(effects[i].variance)) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("random effects: center {} of {} has value {} and variance {}, "
                              "expected finite numbers and a variance above 0; leave it out",
                              i + 1, effects.size(), effects[i].value, effects[i].variance));
    }
  }
  RandomEffects result;
  result.k = static_cast<int>(effects.size());
  const double df = result.k - 1;
  const WeightedSums fixed = SumsAt(effects, 0);
  const double typical = df / fixed.trace_p();  // the typical variance of Higgins & Thompson 2002
  result.q = fixed.q;
  result.q_p = ChiSquareUpperTail(result.q, result.k - 1);
  switch (options.method) {
    case TauMethod::kReml: {
      const Result<Tau> tau = SolveReml(effects, typical, options);
      if (!tau) return tl::unexpected<Error>(tau.error());
      result.tau2 = tau->tau2;
      result.iterations = tau->iterations;
      break;
    }
    case TauMethod::kDerSimonianLaird:
      result.tau2 = std::max(0.0, (fixed.q - df) / fixed.trace_p());
      break;
    case TauMethod::kFixedEffect:
      break;
  }
  const WeightedSums sums = SumsAt(effects, result.tau2);
  result.mu = sums.mean;
  if (options.method == TauMethod::kReml) result.se_tau2 = std::sqrt(2 / sums.trace_pp());
  if (options.method == TauMethod::kFixedEffect) {
    result.h2 = fixed.q / df;
    result.i2 = fixed.q > df ? (fixed.q - df) / fixed.q : 0;
  } else {
    result.h2 = result.tau2 / typical + 1;
    result.i2 = result.tau2 / (typical + result.tau2);
  }
  double factor = 1;
  if (options.test != MeanTest::kNormal) factor = sums.q / df;
  if (options.test == MeanTest::kHartungKnappNeverNarrower) factor = std::max(1.0, factor);
  result.se = std::sqrt(factor / sums.w);
  const double critical = options.test == MeanTest::kNormal
                              ? NormalTwoSided(options.level)
                              : StudentTTwoSided(options.level, result.k - 1);
  result.interval = {result.mu - critical * result.se, result.mu + critical * result.se};
  if (options.method != TauMethod::kFixedEffect) {
    const double spread = std::sqrt(result.tau2 + result.se * result.se);
    result.prediction = Interval{result.mu - critical * spread, result.mu + critical * spread};
    if (result.k >= 3) {
      const double wide = StudentTTwoSided(options.level, result.k - 2);
      result.prediction_hts = Interval{result.mu - wide * spread, result.mu + wide * spread};
    }
  }
  return result;
}

}  // namespace consilium::learning
