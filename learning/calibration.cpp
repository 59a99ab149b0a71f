#include "learning/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/distributions.h"
#include "base/portable_math.h"

namespace consilium::learning {
namespace {

constexpr int kNewtonIterationsMax = 100;
constexpr int kHalvingsMax = 60;
// Beyond this a coefficient on the standardised predictor is running away: the classes are
// separated.
constexpr double kCoefficientMax = 40;

struct Line {
  double intercept = 0;
  double slope = 0;
};

// Minus log likelihood, gradient and information of logit P(y) = intercept + slope x.
struct Likelihood {
  double loss = 0;
  double gradient[2] = {0, 0};
  double information[3] = {0, 0, 0};  // 11, 12, 22
};

Likelihood At(const Line& line, std::span<const double> x, std::span<const double> y) {
  Likelihood sums;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double eta = line.intercept + line.slope * x[i];
    const double p = Expit(eta);
    const double r = y[i] == 1 ? Expit(-eta) : -p;  // y - p without cancellation
    const double w = p * Expit(-eta);
    sums.loss += SoftPlus(y[i] == 1 ? -eta : eta);
    sums.gradient[0] += r;
    sums.gradient[1] += r * x[i];
    sums.information[0] += w;
    sums.information[1] += w * x[i];
    sums.information[2] += w * x[i] * x[i];
  }
  return sums;
}

double Determinant(const Likelihood& at) {
  return at.information[0] * at.information[2] - at.information[1] * at.information[1];
}

// Newton's step; with the slope held fixed, along the intercept only.
Line Step(const Likelihood& at, bool free_slope) {
  if (!free_slope) return {at.gradient[0] / at.information[0], 0};
  const double determinant = Determinant(at);
  return {(at.information[2] * at.gradient[0] - at.information[1] * at.gradient[1]) / determinant,
          (at.information[0] * at.gradient[1] - at.information[1] * at.gradient[0]) / determinant};
}

struct Fit {
  Line line;
  Likelihood at;
};

// Newton with step halving; empty if the maximum lies at infinity or the information is singular.
std::optional<Fit> Maximise(Line line, std::span<const double> x, std::span<const double> y,
                            bool free_slope, double bound) {
  Likelihood at = At(line, x, y);
  for (int iteration = 0; iteration < kNewtonIterationsMax; ++iteration) {
    const Line step = Step(at, free_slope);
    if (!std::isfinite(step.intercept) || !std::isfinite(step.slope)) return std::nullopt;
    const double size = std::max(std::fabs(step.intercept), std::fabs(step.slope));
    if (size <= 1e-13 * (1 + std::fabs(line.intercept) + std::fabs(line.slope))) {
      return Fit{line, at};
    }
    double scale = 1;
    Line next;
    Likelihood at_next;
    for (int halving = 0; halving < kHalvingsMax; ++halving, scale *= 0.5) {
      next = {line.intercept + scale * step.intercept, line.slope + scale * step.slope};
      at_next = At(next, x, y);
      if (at_next.loss <= at.loss * (1 + 1e-14)) break;
    }
    line = next;
    at = at_next;
    if (std::fabs(line.intercept) > bound || std::fabs(line.slope) > bound) return std::nullopt;
  }
  return std::nullopt;
}

// Slope and intercept on the predictor centred and scaled to unit spread, then brought back.
void FitLine(std::span<const double> linear_predictors, std::span<const double> outcome,
             Calibration& calibration) {
  const double n = static_cast<double>(linear_predictors.size());
  double mean = 0;
  for (const double l : linear_predictors) mean += l / n;
  double spread = 0;
  for (const double l : linear_predictors) spread += (l - mean) * (l - mean) / n;
  const double scale = std::sqrt(spread);
  if (!(scale > 1e-12 * (1 + std::fabs(mean)))) return;
  std::vector<double> x;
  x.reserve(linear_predictors.size());
  for (const double l : linear_predictors) x.push_back((l - mean) / scale);
  const std::optional<Fit> fit = Maximise({}, x, outcome, true, kCoefficientMax);
  if (!fit) return;
  const double determinant = Determinant(fit->at);
  if (!(determinant > 0)) return;
  const double var_a = fit->at.information[2] / determinant;
  const double var_b = fit->at.information[0] / determinant;
  const double cov_ab = -fit->at.information[1] / determinant;
  const double shift = mean / scale;
  calibration.slope = Coefficient{fit->line.slope / scale, std::sqrt(var_b) / scale};
  calibration.intercept =
      Coefficient{fit->line.intercept - fit->line.slope * shift,
                  std::sqrt(var_a - 2 * shift * cov_ab + shift * shift * var_b)};
}

}  // namespace

Result<Calibration> Calibrate(std::span<const double> linear_predictors,
                              std::span<const double> outcome) {
  if (linear_predictors.size() != outcome.size() || outcome.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("calibration: found {} linear predictors and {} outcomes, expected "
                            "one of each for every row and at least one row",
                            linear_predictors.size(), outcome.size()));
  }
  Calibration calibration;
  calibration.rows = static_cast<std::int64_t>(outcome.size());
  const double n = static_cast<double>(outcome.size());
  double squares = 0;
  for (std::size_t row = 0; row < outcome.size(); ++row) {
    if (!std::isfinite(linear_predictors[row]) || (outcome[row] != 0 && outcome[row] != 1)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("calibration: row {} has a linear predictor that is not finite or an "
                              "outcome other than 0 and 1; exclude it",
                              row + 1));
    }
    const double p = Expit(linear_predictors[row]);
    const double miss = outcome[row] == 1 ? Expit(-linear_predictors[row]) : p;
    calibration.events += outcome[row] == 1 ? 1 : 0;
    calibration.expected += p;
    squares += miss * miss;
  }
  calibration.brier = squares / n;
  const double prevalence = static_cast<double>(calibration.events) / n;
  calibration.brier_max = prevalence * (1 - prevalence);
  if (calibration.events == 0 || calibration.events == calibration.rows) return calibration;
  calibration.scaled_brier = 1 - calibration.brier / calibration.brier_max;

  // One-dimensional and concave: the maximum always exists; predictors of any size are an offset,
  // so the bound only stops what no double can express.
  const std::optional<Fit> large = Maximise({0, 1}, linear_predictors, outcome, false, 1e300);
  if (large && large->at.information[0] > 0) {
    calibration.in_the_large =
        Coefficient{large->line.intercept, 1 / std::sqrt(large->at.information[0])};
  }
  FitLine(linear_predictors, outcome, calibration);
  return calibration;
}

std::optional<Estimate> ObservedOverExpected(const Calibration& calibration, double level) {
  if (calibration.events == 0 || calibration.events == calibration.rows ||
      !(calibration.expected > 0)) {
    return std::nullopt;
  }
  const double observed = static_cast<double>(calibration.events);
  const double n = static_cast<double>(calibration.rows);
  const double ratio = observed / calibration.expected;
  const double half = NormalTwoSided(level) * std::sqrt((1 - observed / n) / observed);
  return Estimate{ratio, {ratio * Exp(-half), ratio * Exp(half)}};
}

}  // namespace consilium::learning
