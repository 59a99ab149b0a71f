// Intervals that every validation figure uses.
//
// Notation: an estimate, its variance and a two-sided level in (0, 1), 0.95 unless said. A limit
// beyond which nothing is known is absent, never a number: functions return an empty optional where
// the method has no answer.
#pragma once

#include <cstdint>
#include <optional>

namespace consilium::learning {

struct Interval {
  double low = 0;
  double high = 0;
};

struct Estimate {  // a figure with its interval
  double value = 0;
  Interval interval;
};

// value +- z sqrt(variance); may leave the range of the quantity. Empty unless variance > 0.
[[nodiscard]] std::optional<Interval> WaldInterval(double value, double variance,
                                                   double level = 0.95);

// For a value in (0, 1): expit(logit(value) +- z sqrt(variance) / (value (1 - value))). Empty
// unless variance > 0 and 0 < value < 1. Source: Pepe, The Statistical Evaluation of Medical Tests,
// 2003, 5.2.
[[nodiscard]] std::optional<Interval> LogitInterval(double value, double variance,
                                                    double level = 0.95);

// For first.value - second.value, independent, each with its own (asymmetric) interval of one
// level: low = d - sqrt((first - first.low)^2 + (second.high - second)^2), high likewise. Source:
// Zou & Donner, Statistics in Medicine 27(10):1693-1702, 2008 (MOVER).
[[nodiscard]] Estimate MoverDifference(const Estimate& first, const Estimate& second);

// For a proportion count / total: Wilson's score interval. Empty if total < 1.
// Source: Wilson, JASA 22:209-212, 1927.
[[nodiscard]] std::optional<Interval> WilsonInterval(std::int64_t count, std::int64_t total,
                                                     double level = 0.95);

}  // namespace consilium::learning
