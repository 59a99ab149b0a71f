// Logistic LASSO paths with K-fold cross-validation from sums: equal to the optimum on the pooled
// rows.
//
// Objective (Friedman, Hastie & Tibshirani, J Stat Softw 33(1), 2010; glmnet's scaling):
//   -(1/n) loglik(b0, b) + lambda |b|_1,   columns standardised with the 1/n sd of the fit's rows.
// The coordinator holds, for each fit and lambda, a point; a round returns the exact gradient of
// every open point and, now and then, the fit's own curvature on a screened set of columns. A
// quadratic model with that curvature gives the next points. The gradient is exact, so the fixed
// point is the optimum whatever the curvature; convergence is certified by the KKT residual of the
// exact gradient (docs/decisions/0005).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "federation/computation.h"
#include "federation/step.h"
#include "learning/moments.h"
#include "learning/penalized_quadratic.h"

namespace consilium::learning {

// Registers "lasso.design" (derives the standardised matrix; answers the null gradient),
// "lasso.evaluate" and "lasso.internal".
void RegisterLassoSteps(federation::StepRegistry& registry);

// The standardised columns of one fit at one site, kept under (fit, kDesign).
struct Design : federation::DerivedValue {
  Eigen::MatrixXd training;  // [n x p]
  Eigen::VectorXd outcome;   // [n]
  Eigen::MatrixXd
      left_out;  // [l x p] rows of the left-out fold, standardised with the training moments
  Eigen::VectorXd left_out_outcome;
};
inline constexpr char kDesign[] = "design";

// One training set: the whole of T, or T without a fold.
struct LassoFitInput {
  federation::Scope scope;
  std::vector<int> columns;  // positions in the cohort's feature list (labels only, if the fit
                             // derived its features)
  Moments moments;
  double events = 0;
  double left_out_rows = 0;
};

struct LassoOptions {
  int lambda_count = 100;
  double lambda_min_ratio = 0;  // 0: 1e-4 if rows >= columns, else 1e-2
  double kkt_tolerance = 1e-8;
  bool path_stop = true;         // see LassoPath::stopped
  bool strict_curvature = true;  // at most 0.33 x rows columns at once
  int block = 5;                 // lambdas that travel together
  int iterations_max = 200;      // rounds of one block
};

struct LassoFit {
  std::vector<PathPoint> points;  // one a lambda
  double kkt_residual = 0;        // largest over the path
  double null_deviance = 0;       // mean
};

// The lambda at which a path had to end, in the fit that did not come to its optimum there.
struct Unconverged {
  std::string fit;          // its scope's name: the fit on all training rows, or of one fold
  int lambda = 0;           // place on the path, from 0
  int rounds = 0;           // that it was given
  double kkt_residual = 0;  // reached, in units of the gradient (1/n)
};

struct LassoPath {
  std::vector<double> lambda;  // decreasing; what was computed. Empty: see `unconverged`
  LassoFit full;
  std::vector<LassoFit> folds;  // in the order of the inputs
  Eigen::VectorXd cvm, cvsd;    // mean cross-validated deviance and its standard error (cv.glmnet)
  int index_min = 0;            // lambda.min: smallest cvm, the largest lambda among equals
  int index_1se = 0;            // lambda.1se: the largest lambda with cvm <= min + its cvsd
  int rounds = 0;
  std::string stopped;  // why the path ended: "last lambda", "deviance explained", "deviance flat",
                        // "cross-validation rose", "not converged"
  // Only if `stopped` is "not converged": the path ends before this lambda, as glmnet gives the
  // path so far with a warning. At the first lambda with coefficients (place 1) or before it there
  // is no path: `lambda` and every list of points are empty.
  std::optional<Unconverged> unconverged;
};

// full: scope without a left-out fold. folds: may be empty (then no cross-validation).
// Errors: kFailedPrecondition (one class only in a training set: names the fit).
[[nodiscard]] federation::Task<LassoPath> FitLassoPath(federation::Sums& sums, LassoFitInput full,
                                                       std::vector<LassoFitInput> folds,
                                                       LassoOptions options);

// Maximum likelihood without a penalty, Newton on the same sums; for a few columns.
struct LogisticFit {
  Eigen::VectorXd coefficients;  // [1 + p] original scale, intercept first
  Eigen::MatrixXd covariance;    // [1 + p x 1 + p] inverse information, original scale
  double loglik = 0;
  double null_deviance = 0;
  int iterations = 0;
};
[[nodiscard]] federation::Task<LogisticFit> FitLogistic(federation::Sums& sums,
                                                        LassoFitInput input);

// Coefficients on the original scale: b_j = beta_j / sd_j, intercept - sum b_j mean_j. [1 + p]
[[nodiscard]] Eigen::VectorXd OriginalScale(const PathPoint& point, const Moments& moments);

// Internal discrimination inside the training centers, from sums over centers (validation.md (a)).
struct InternalAucSums {
  double u = 0;                    // sum over centers of concordant pairs + half the ties
  double pairs = 0;                // sum of m n
  double weighted_variance = 0;    // sum of (m n)^2 V over centers with m, n >= 2
  double pairs_with_variance = 0;  // sum of m n over those centers
  double centers_without_variance = 0;
  Eigen::MatrixXd histogram;  // [bins x 2] out-of-fold probabilities, not events and events, all
                              // centers together
};
// group: the fold fits are named group + "/fold=" + f. points[f]: the chosen point of fold f + 1.
[[nodiscard]] federation::Task<InternalAucSums> MeasureInternalAuc(federation::Sums& sums,
                                                                   std::vector<LassoFitInput> folds,
                                                                   std::vector<PathPoint> points,
                                                                   std::string group);

// Rows without any one of which another lambda would have the smallest cross-validated deviance
// (one patient with an extreme value can choose the model). Only their number leaves. `path`: as
// FitLassoPath gave it for `folds`; group: as above.
[[nodiscard]] federation::Task<double> CountDecidingRows(federation::Sums& sums,
                                                         std::vector<LassoFitInput> folds,
                                                         const LassoPath& path, std::string group);

}  // namespace consilium::learning
