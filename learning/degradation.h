// How much discrimination is lost from home to another hospital, and over several of them.
//
// Notation: T_h = the training centers of the fit that held center h out, A_int(T_h) its internal
// AUC (pairs inside centers only: learning/auc.h), A_h the external AUC of the frozen model at h,
// delta_h = A_int(T_h) - A_h, positive = worse abroad. Over k >= 3 counting centers: mu =
// random-effects mean of logit A_h, Delta = mean A_int(T_h) - expit(mu). The delta_h themselves are
// never pooled: they share A_int. Sources: MOVER, Zou & Donner 2008 (learning/interval.h); random
// effects of logit AUCs with prediction, Debray et al., BMJ 356:i6460, 2017, and
// learning/random_effects.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "learning/auc.h"
#include "learning/random_effects.h"

namespace consilium::learning {

inline constexpr int kCountingCentersMin = 3;  // k for a pooled number
inline constexpr std::int64_t kCountingPerClassMin =
    10;  // events and non-events of a counting center

struct HeldOutCenter {
  std::string name;
  bool other_institution = true;  // shares no institution with the fit's training centers
  bool learned_from = false;  // anything of the model, its bins or its harmonization came from it
  std::optional<InternalAuc> internal;    // A_int(T_h); empty if it could not be computed
  std::optional<AucComponents> external;  // empty if suppressed or not answered
  std::string absence;  // why `external` is empty: "did not answer", "fewer than 5 events"
};

// Why the center does not count, in words that fit after "does not (": "1 non-event", "4 events, 3
// non-events", "same institution as a training center", "the model learned from it", `absence`,
// "its AUC has no variance". Empty: it counts (other institution, nothing learned from it, m and n
// >= 10, and a logit AUC with a variance).
[[nodiscard]] std::optional<std::string> WhyNotCounting(const HeldOutCenter& center);

struct Degradation {
  double internal = 0;  // A_int(T_h)
  double external = 0;  // A_h
  double delta = 0;
  std::optional<Interval> interval;  // MOVER; empty if one of the two has no interval
};

// delta_h with its interval. Empty if either AUC is missing.
[[nodiscard]] std::optional<Degradation> DegradationAt(const HeldOutCenter& center,
                                                       double level = 0.95);

struct PooledDegradation {
  double level = 0.95;
  std::vector<std::string> centers;           // the k that count, as given
  RandomEffects logit_auc;                    // mu, tau2, prediction, ... on the logit scale
  Estimate auc;                               // expit(mu)
  Interval prediction;                        // of a new center's AUC, k - 1 df
  Interval prediction_hts;                    // k - 2 df
  double internal_mean = 0;                   // mean A_int(T_h)
  std::optional<double> internal_variance;    // mean V_int; empty if a center's is missing
  std::optional<Interval> internal_interval;  // logit scale, from that mean and that variance
  double delta = 0;                           // Delta
  std::optional<Interval> delta_interval;     // MOVER; empty if internal_interval is
};

// Over those of `centers` that count; every interval at `level`.
// Errors: kFailedPrecondition (fewer than 3 count: says who does not and why; a counting center has
// no internal AUC).
[[nodiscard]] Result<PooledDegradation> PoolDegradation(std::span<const HeldOutCenter> centers,
                                                        double level = 0.95);

}  // namespace consilium::learning
