// ComBat: location and scale of each center, shrunk by empirical Bayes. Mathematics only, no sums,
// no I/O.
//
//   y_ijg = alpha_g + x_ij' beta_g + gamma_ig + sqrt(delta_ig) e_ijg,   e_ijg ~ N(0, sigma_g^2)
//
// for center i, row j, feature g; x are the covariates whose effect is kept. alpha, beta and
// sigma^2 belong to everybody (combat_fit.h gets them from sums); gamma and delta belong to one
// center, are estimated there and never leave it. "delta" is the variance factor throughout, as in
// the published parameter tables.
//
// Notation: n rows, p covariates, G features, z the standardized values.
// Source: Johnson, Li & Rabinovic, Biostatistics 8(1):118-127, 2007, section 3; Fortin et al.,
// NeuroImage 167:104-120, 2018. The text and the derivations: docs/harmonization.md.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace consilium::harmonization {

// What all centers share. In the units of the features (alpha, beta) and their squares
// (var_pooled).
struct StandardizingModel {
  Eigen::VectorXd
      alpha;  // [G] grand mean at x = 0: the mean of the centers' intercepts, weighted by rows
  Eigen::VectorXd alpha_low;   // [G] what alpha lost by rounding; matters when mean / sd is large
  Eigen::MatrixXd beta;        // [p x G]
  Eigen::VectorXd var_pooled;  // [G] sigma^2 = SSE / rows observed, no degrees of freedom removed
};

enum class Shrinkage {
  kEmpiricalBayes,  // parametric priors over the features of one center
  kNone,            // gamma* = gamma^, delta* = delta^
};

enum class Scaling {
  kLocationAndScale,
  kMeanOnly,   // delta = 1; gamma* = (t2 gamma^ + gamma_bar) / (t2 + 1), as the reference programs
               // do it
  kMeanOnlyN,  // delta = 1; gamma* = (n t2 gamma^ + gamma_bar) / (n t2 + 1): the posterior mean it
               // stands for
};

enum class StopRule {
  kReference,  // signed relative change <= 1e-4: the iteration count of the reference programs
  kConverged,  // |change| <= 1e-14 relative to the parameter's own scale: the fixed point, whatever
               // the order
};

struct EmpiricalBayesOptions {
  Shrinkage shrinkage = Shrinkage::kEmpiricalBayes;
  Scaling scaling = Scaling::kLocationAndScale;
  StopRule stop = StopRule::kReference;
};

inline constexpr int kIterationsMax = 10'000;

// A center's standardized rows, reduced to what empirical Bayes needs.
struct LocationScale {
  Eigen::VectorXd n;          // [G] rows observed; a whole number
  Eigen::VectorXd gamma_hat;  // [G] mean of z; 0 where n = 0
  Eigen::VectorXd delta_hat;  // [G] variance of z with n - 1; 0 where n < 2
};

// What a center knows about itself after ComBat.
struct SiteEstimates {
  Eigen::VectorXd n;           // [G]
  Eigen::VectorXd gamma_hat;   // [G]
  Eigen::VectorXd delta_hat;   // [G] 1 when only the mean is adjusted
  Eigen::VectorXd gamma_star;  // [G] in units of sigma
  Eigen::VectorXd delta_star;  // [G]
  double gamma_bar = 0;        // prior of gamma: mean over features
  double t2 = 0;               // prior of gamma: variance over features, G - 1
  double a_prior = 0;  // prior of delta: shape of the inverse gamma; 0 when delta is not shrunk
  double b_prior = 0;  // prior of delta: its scale
  int iterations = 0;
  double last_change = 0;  // the stop rule's figure in the last iteration
  std::string notice;      // why the method asked for was not the one used; empty as a rule
};

// z = (y - alpha - x' beta) / sigma [n x G]. features [n x G], NaN stays NaN; covariates [n x p].
[[nodiscard]] Eigen::MatrixXd Standardize(const Eigen::Ref<const Eigen::MatrixXd>& features,
                                          const Eigen::Ref<const Eigen::MatrixXd>& covariates,
                                          const StandardizingModel& model);

// Mean and variance (n - 1) of each column of z [n x G] over its values that are not NaN, in two
// passes.
[[nodiscard]] LocationScale Summarize(const Eigen::Ref<const Eigen::MatrixXd>& z);

// gamma*, delta* from (n, gamma^, delta^) alone: the sum of squares that the iteration needs is
// (n - 1) delta^ + n (gamma^ - g)^2, so it costs O(G) an iteration and no row.
//   g' = (n t2 gamma^ + d gamma_bar) / (n t2 + d),   d' = (sum_j (z_j - g')^2 / 2 + b) / (n / 2 + a
//   - 1)
// With one feature there is no prior over features: no shrinkage, with a notice. With equal delta^
// in all features (s2 = 0) the prior is a point: delta* is that value, with a notice. Sources:
// Johnson 2007, equations 3-4 and its supplement (moments of the inverse gamma); the stop rule is
// that of the reference programs, signed denominators included: max over features of |new - old| /
// old. Errors: kInvalidArgument (no feature, sizes differ, n < 1, n < 2 with a scale, delta^
// negative or 0 without shrinkage, a value not finite: gives the position of the feature);
// kOutOfRange (no end after kIterationsMax iterations, or not a number on the way: gives the
// position of the feature).
[[nodiscard]] Result<SiteEstimates> Shrink(const LocationScale& moments,
                                           const EmpiricalBayesOptions& options = {});

// y* = sigma (z - gamma*) / sqrt(delta*) + alpha + x' beta [n x G], in the features' units; NaN
// stays NaN.
[[nodiscard]] Eigen::MatrixXd Adjust(const Eigen::Ref<const Eigen::MatrixXd>& features,
                                     const Eigen::Ref<const Eigen::MatrixXd>& covariates,
                                     const StandardizingModel& model,
                                     const Eigen::Ref<const Eigen::VectorXd>& gamma_star,
                                     const Eigen::Ref<const Eigen::VectorXd>& delta_star);

// What a center that the model has never seen can do, by its rows (docs/harmonization.md, "A new
// center").
enum class Application {
  kTrainingMember,       // estimated from the center's training rows, applied to all its rows
  kFrozenLocationScale,  // a new center, from all its rows
  kFrozenMeanOnly,       // a new center below FrozenOptions::scale_rows_min: kMeanOnlyN
  kPassThrough,          // a new center with fewer than 2 rows: untouched
};

// "training member", "frozen: location and scale", ...: for reports.
[[nodiscard]] std::string Describe(Application application);

struct FrozenOptions {
  EmpiricalBayesOptions bayes;
  int scale_rows_min =
      20;  // >= 2; below it a scale is mostly noise (Parekh et al. 2022, learning curves)
};

struct Frozen {
  Eigen::MatrixXd adjusted;  // [n x G]
  Application application = Application::kPassThrough;
  SiteEstimates estimates;  // empty vectors for kPassThrough
  // [positions] features with no spread, or fewer than 2 values, in this center: their location
  // alone is adjusted (kMeanOnlyN) and they do not enter the priors; without any value they are
  // left as they are.
  std::vector<Eigen::Index> location_only;
};

// Harmonizes a center against a model it had no part in: alpha, beta and sigma stay, its own gamma,
// delta and priors come from its own rows. Takes features and covariates only; there is no outcome
// to read. Source: Fortin 2018 with alpha, beta, sigma held; the published route is predict() of
// ComBatFamily. Errors: kInvalidArgument (sizes differ, a covariate is not finite), and those of
// Shrink.
[[nodiscard]] Result<Frozen> ApplyFrozen(const Eigen::Ref<const Eigen::MatrixXd>& features,
                                         const Eigen::Ref<const Eigen::MatrixXd>& covariates,
                                         const StandardizingModel& model,
                                         const FrozenOptions& options);

// True when a column (values that are not NaN) cannot carry a scale: fewer than 2 values, all
// equal, or their sd is at most 1e-8 of their absolute mean, which is where rounding of the input
// begins to show.
[[nodiscard]] bool HasNoSpread(const Eigen::Ref<const Eigen::VectorXd>& column);

// Refuses to keep the effect of the outcome when a model will be trained on the result: the
// adjusted features would carry the label of their own row, (1 - 1/sqrt(delta*)) beta_outcome, and
// pure noise then predicts (AUC 0.60 in place of 0.53 on simulated noise; Nieto et al., arXiv
// 2410.19643). `preserved` are names of variables or of their coded columns ("name=level"). Errors:
// kPermissionDenied (names the variable and what to do).
[[nodiscard]] Result<void> CheckPreserved(const std::vector<std::string>& preserved,
                                          const std::string& outcome, bool trains_model);

}  // namespace consilium::harmonization
