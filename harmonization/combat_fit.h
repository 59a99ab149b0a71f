// The coordinator half of federated ComBat: the pooled model from two rounds of sums.
//
// Every site centres its own rows first, so the free intercepts of the centers drop out of the
// normal equations (Frisch & Waugh 1933) and plain sums give the coefficients of the pooled
// regression with one intercept a center. The coordinator learns neither a center's mean nor its
// variance.
//
//   beta = (sum_i zc'zc)^-1 (sum_i zc'yc),  alpha = ybar - xbar' beta,  sigma^2 = sum_i ||r_i -
//   rbar_i||^2 / N
//
// Sources: Johnson, Li & Rabinovic 2007, section 3.1, step 1; the split over sites:
// docs/harmonization.md.
#pragma once

#include <string>
#include <vector>

#include "federation/computation.h"
#include "harmonization/combat.h"

namespace consilium::harmonization {

struct CombatOptions {
  federation::Scope scope;  // at least 2 training members; rows of the left-out fold take no part

  // The fit's columns: positions in Cohort::feature_names. HarmonizedFeatures has them all, in this
  // order.
  std::vector<int> columns;   // [C]
  std::vector<int> exponent;  // [C] |y| <= 2^exponent at every training member; |exponent| <= 400
  std::vector<int>
      pass_through;  // positions within `columns` that are left as they are (clinical ones)

  // The covariates whose effect is kept: positions in Cohort::covariate_names. Never the outcome.
  std::vector<int> covariates;          // [p]
  std::vector<int> covariate_exponent;  // [p] |x| <= 2^exponent at every training member

  // Lets cells be missing (NaN): statistics are then taken feature by feature over the rows
  // observed, alpha keeps the weight of all rows, and a missing cell stays missing. Costs p (p + 3)
  // / 2 more words a feature. Off: a missing cell of a training row is an error that names the
  // feature.
  bool missing_allowed = false;

  // Training rows of the scope, from an earlier total. Gates compare the covariates' cross-products
  // with it, so `strict` studies that preserve covariates need it; 0 = not known.
  double rows = 0;

  FrozenOptions apply;  // shrinkage and stop rule for everybody; the row limit for new centers

  // For messages only, in the study's order; may be empty.
  std::vector<std::string> feature_names;
  std::vector<std::string> covariate_names;
};

enum class FeatureStatus {
  kAdjusted,
  kPassThrough,        // as asked
  kNoSpreadSomewhere,  // constant (or all but one value missing) inside one training center or more
  kNoSpreadAnywhere,   // constant inside every training center
  kNoResidualVariance,  // a linear function of the covariates
};

// "adjusted", "left untouched: constant inside a training center", ...: for reports.
[[nodiscard]] std::string Describe(FeatureStatus status);

enum class CombatWarningKind {
  kAssociatedWithSite,  // eta^2 of a covariate with center above 0.3: its effect is mostly
                        // extrapolated
  kNearlyCollinear,     // condition of the scaled within-center scatter above about 1e8
};

struct CombatWarning {
  CombatWarningKind kind = CombatWarningKind::kAssociatedWithSite;
  int covariate = 0;  // position within CombatOptions::covariates
  double value = 0;   // eta^2, or the covariate's share of spread not explained by the others
  std::string message;
};

struct CombatModel {
  CombatOptions options;
  StandardizingModel
      standardizing;  // [C] columns that are not adjusted have alpha 0, beta 0, variance 1
  std::vector<FeatureStatus> status;  // [C]
  Eigen::VectorXd observed;           // [C] training rows with a value
  double rows = 0;                    // N, training rows
  std::vector<CombatWarning> warnings;

  // Positions within the columns, ascending.
  [[nodiscard]] std::vector<int> With(FeatureStatus wanted) const;
};

// alpha, beta and sigma^2 of the pooled regression, in two rounds. A feature that is constant
// inside one training center leaves ComBat for everybody, and is listed in `status`. Errors:
// kInvalidArgument (options contradict each other: names the field); kFailedPrecondition (a
// covariate has no spread inside any center or is a combination of the others: names it; fewer rows
// than coefficients); kDataLoss (sums that no rows can give).
[[nodiscard]] federation::Task<CombatModel> FitCombat(federation::Sums& sums,
                                                      CombatOptions options);

// What tells every site, members and held-out centers alike, to harmonize itself with `model`.
[[nodiscard]] federation::Query ApplyQuery(const CombatModel& model);

// FitCombat, then one round with ApplyQuery: afterwards every site keeps its HarmonizedFeatures.
[[nodiscard]] federation::Task<CombatModel> HarmonizeWithCombat(federation::Sums& sums,
                                                                CombatOptions options);

}  // namespace consilium::harmonization
