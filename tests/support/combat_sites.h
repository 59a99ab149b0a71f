// Small seeded hospitals with site effects, for tests of harmonization.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/rng.h"
#include "federation/cohort.h"
#include "harmonization/combat_fit.h"

namespace consilium::testing_support {

// One center named `site`: features normal about 10 + 2 * place, covariates age (50 to 70) and sex
// (0/1).
inline federation::Cohort MakeSite(const std::string& site, Eigen::Index rows,
                                   Eigen::Index features, std::uint64_t seed) {
  Rng rng(seed, "combat test " + site);
  federation::Cohort cohort;
  cohort.site = site;
  cohort.covariate_names = {"age", "sex"};
  cohort.features.resize(rows, features);
  cohort.covariates.resize(rows, 2);
  cohort.outcome.resize(rows);
  for (Eigen::Index j = 0; j < rows; ++j) {
    cohort.covariates(j, 0) = 50 + 20 * rng.Uniform();
    cohort.covariates(j, 1) = j % 2 == 0 ? 1 : 0;
    cohort.outcome(j) = rng.Chance(0.4) ? 1 : 0;
    cohort.fold.push_back(static_cast<int>(j % 5) + 1);
    cohort.patient.push_back(static_cast<int>(j));
  }
  for (Eigen::Index g = 0; g < features; ++g) {
    cohort.feature_names.push_back("f" + std::to_string(g + 1));
    const double place = rng.Normal(), spread = 0.5 + rng.Uniform(), slope = 0.02 * rng.Normal();
    for (Eigen::Index j = 0; j < rows; ++j) {
      cohort.features(j, g) =
          10 + 2 * place + slope * cohort.covariates(j, 0) + spread * rng.Normal();
    }
  }
  return cohort;
}

// Every column adjusted, age and sex kept, every cohort a training member unless it is named in
// `held_out`.
inline harmonization::CombatOptions OptionsFor(const std::vector<federation::Cohort>& cohorts,
                                               const std::string& held_out = "") {
  harmonization::CombatOptions options;
  options.scope.fit = "fit";
  for (const federation::Cohort& cohort : cohorts) {
    if (cohort.site != held_out) options.scope.members.push_back(cohort.site);
  }
  std::sort(options.scope.members.begin(), options.scope.members.end());
  for (Eigen::Index g = 0; g < cohorts.front().features.cols(); ++g) {
    double largest = 1;
    for (const federation::Cohort& cohort : cohorts) {
      for (Eigen::Index j = 0; j < cohort.row_count(); ++j) {
        const double value = std::fabs(cohort.features(j, g));
        if (std::isfinite(value)) largest = std::max(largest, value);
      }
    }
    options.columns.push_back(static_cast<int>(g));
    options.exponent.push_back(std::ilogb(largest) + 1);
  }
  options.covariates = {0, 1};
  options.covariate_exponent = {7, 1};
  options.feature_names = cohorts.front().feature_names;
  options.covariate_names = {"age", "sex"};
  return options;
}

}  // namespace consilium::testing_support
