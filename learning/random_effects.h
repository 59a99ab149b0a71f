// Random effects over centers: one estimate and one variance a center, a mean and a spread in all.
//
// Model: y_i = mu + u_i + e_i, u_i ~ N(0, tau2), e_i ~ N(0, v_i) with v_i known; weights w_i = 1 /
// (v_i + tau2). The prediction interval says where a new center's own value may lie; with few
// centers it is wide, and that is its message. Sources: Viechtbauer, J Educ Behav Stat
// 30(3):261-293, 2005 (REML by Fisher scoring); DerSimonian & Laird, Control Clin Trials
// 7(3):177-188, 1986; Hartung & Knapp, Stat Med 20(24):3875-3889, 2001; Knapp & Hartung, Stat Med
// 22(17):2693-2710, 2003; Higgins, Thompson & Spiegelhalter, JRSS A 172(1):137-159, 2009
// (prediction with k - 2 degrees of freedom); Riley, Higgins & Deeks, BMJ 342:d549, 2011. The
// numbers are those of metafor's rma() with the same names.
#pragma once

#include <optional>
#include <span>

#include "base/result.h"
#include "learning/interval.h"

namespace consilium::learning {

struct CenterEffect {
  double value = 0;     // y_i
  double variance = 0;  // v_i > 0
};

enum class TauMethod {
  kReml,
  kDerSimonianLaird,
  kFixedEffect,  // tau2 = 0
};

enum class MeanTest {
  kHartungKnappNeverNarrower,  // metafor's test = "adhoc": the factor below is at least 1
  kHartungKnapp,               // "knha": variance times sum w (y - mu)^2 / (k - 1), t with k - 1 df
  kNormal,                     // "z"
};

struct RandomEffectsOptions {
  TauMethod method = TauMethod::kReml;
  MeanTest test = MeanTest::kHartungKnappNeverNarrower;
  double level = 0.95;       // of every interval, two-sided, in (0, 1)
  double tolerance = 1e-13;  // on a step of tau2, relative to tau2 + typical variance
  int iterations_max = 1000;
};

struct RandomEffects {
  int k = 0;
  double mu = 0;
  double se = 0;      // of mu, after the test's factor
  Interval interval;  // of mu
  double tau2 = 0;
  std::optional<double> se_tau2;  // kReml only: sqrt(2 / tr(PP))
  double i2 = 0;                  // in [0, 1]: share of the spread that is between centers
  double h2 = 1;
  double q = 0;                            // Cochran's, with weights 1 / v
  double q_p = 1;                          // chi-square, k - 1 df
  std::optional<Interval> prediction;      // k - 1 df (normal for kNormal); empty for kFixedEffect
  std::optional<Interval> prediction_hts;  // k - 2 df; empty if k < 3 or kFixedEffect
  int iterations = 0;                      // of the search for tau2
};

// Errors: kInvalidArgument (level outside (0, 1)); kFailedPrecondition (fewer than 2 effects; a
// value not finite or a variance not positive: names its position); kInternal (no convergence).
[[nodiscard]] Result<RandomEffects> CombineEffects(std::span<const CenterEffect> effects,
                                                   const RandomEffectsOptions& options = {});

}  // namespace consilium::learning
