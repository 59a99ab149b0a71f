// Are a center's predicted probabilities right? Computed at the center, on its own rows.
//
// Notation: linear predictor l = logit p of a frozen model, outcome y (1 = event), n rows, O = sum
// y, E = sum p. Calibration-in-the-large is the intercept a of logit P(y) = a + l (slope fixed at
// 1): 0 is perfect, below 0 the model predicts too much. The slope b of logit P(y) = a + b l is 1
// when predictions are neither too extreme (b < 1) nor too timid. Sources: Cox, Biometrika
// 45:562-565, 1958; Steyerberg, Clinical Prediction Models, 2nd ed., 2019, ch. 15; Brier, Mon
// Weather Rev 78:1-3, 1950; O/E and its variance: Debray et al., BMJ 356:i6460, 2017.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "learning/interval.h"

namespace consilium::learning {

struct Coefficient {
  double value = 0;
  double se = 0;  // from the inverse of the observed information
};

struct Calibration {
  std::int64_t rows = 0;
  std::int64_t events = 0;                  // O
  double expected = 0;                      // E
  double brier = 0;                         // mean (p - y)^2
  double brier_max = 0;                     // of the constant prediction O / n: O / n (1 - O / n)
  std::optional<double> scaled_brier;       // 1 - brier / brier_max; empty if a class is empty
  std::optional<Coefficient> in_the_large;  // empty if a class is empty
  // Empty if a class is empty, the linear predictor is constant, or it separates the classes.
  std::optional<Coefficient> intercept;
  std::optional<Coefficient> slope;
};

// linear_predictors [n], outcome [n].
// Errors: kInvalidArgument (lengths differ, no rows, a predictor not finite, an outcome neither 0
// nor 1: names the row).
[[nodiscard]] Result<Calibration> Calibrate(std::span<const double> linear_predictors,
                                            std::span<const double> outcome);

// O / E with the interval exp(log(O / E) +- z sqrt((1 - O / n) / O)); empty if O = 0, O = n or E =
// 0.
[[nodiscard]] std::optional<Estimate> ObservedOverExpected(const Calibration& calibration,
                                                           double level = 0.95);

}  // namespace consilium::learning
