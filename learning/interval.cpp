#include "learning/interval.h"

#include <cmath>

#include "base/distributions.h"
#include "base/portable_math.h"

namespace consilium::learning {

std::optional<Interval> WaldInterval(double value, double variance, double level) {
  if (!(variance > 0) || !std::isfinite(variance)) return std::nullopt;
  const double half = NormalTwoSided(level) * std::sqrt(variance);
  return Interval{value - half, value + half};
}

std::optional<Interval> LogitInterval(double value, double variance, double level) {
  if (!(variance > 0) || !std::isfinite(variance) || !(value > 0 && value < 1)) return std::nullopt;
  const double half = NormalTwoSided(level) * std::sqrt(variance) / (value * (1 - value));
  const double center = Logit(value);
  return Interval{Expit(center - half), Expit(center + half)};
}

Estimate MoverDifference(const Estimate& first, const Estimate& second) {
  const auto root = [](double a, double b) { return std::sqrt(a * a + b * b); };
  const double difference = first.value - second.value;
  return {
      difference,
      {difference - root(first.value - first.interval.low, second.interval.high - second.value),
       difference + root(first.interval.high - first.value, second.value - second.interval.low)}};
}

std::optional<Interval> WilsonInterval(std::int64_t count, std::int64_t total, double level) {
  if (total < 1) return std::nullopt;
  const double n = static_cast<double>(total);
  const double p = static_cast<double>(count) / n;
  const double z = NormalTwoSided(level);
  const double scale = 1 + z * z / n;
  const double center = (p + z * z / (2 * n)) / scale;
  const double half = z / scale * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  // At the ends the exact limits are 0 and 1; the formula misses them by a rounding.
  return Interval{count == 0 ? 0 : center - half, count == total ? 1 : center + half};
}

}  // namespace consilium::learning
