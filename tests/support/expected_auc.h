// The AUC that a population's linear predictors promise, without an outcome drawn: pair by pair.
#pragma once

#include <vector>

#include "base/portable_math.h"

namespace consilium::testing_support {

// E[p (1 - p') 1(eta > eta')] / E[p (1 - p')] for two independent patients, p = expit(eta).
inline double ExpectedAuc(const std::vector<double>& linear_predictors) {
  double concordant = 0, pairs = 0;
  for (std::size_t i = 0; i < linear_predictors.size(); ++i) {
    const double p = Expit(linear_predictors[i]);
    for (std::size_t j = 0; j < linear_predictors.size(); ++j) {
      if (i == j) continue;
      const double weight = p * (1 - Expit(linear_predictors[j]));
      pairs += weight;
      if (linear_predictors[i] > linear_predictors[j]) concordant += weight;
    }
  }
  return concordant / pairs;
}

}  // namespace consilium::testing_support
