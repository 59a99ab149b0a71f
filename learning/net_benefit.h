// Net benefit: is treating by the model better than treating nobody, or everybody?
//
// Notation: threshold t in (0, 1), weight w = t / (1 - t); a row is treated (T = 1) when its
// predicted probability is >= t. Net benefit NB(t) = TP / n - FP / n w. Per row, against treating
// none, v = T (y - (1 - y) w); against treating all, v = (T - 1) (y - (1 - y) w): their means are
// NB(t) and NB(t) - NB_all(t), so their variances are sums too. Every v takes two values other than
// 0, so counts (n, events, TP, FP) carry all of it exactly. Sources: Vickers & Elkin, Med Decis
// Making 26(6):565-574, 2006; Vickers et al., BMC Med Inform Decis Mak 8:53, 2008; over centers:
// Wynants et al., Stat Med 37(12):2034-2052, 2018.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "learning/interval.h"
#include "learning/random_effects.h"

namespace consilium::learning {

// What a center may release at one threshold.
struct ThresholdCounts {
  double threshold = 0;
  std::int64_t rows = 0;             // n
  std::int64_t events = 0;           // m
  std::int64_t true_positives = 0;   // treated events
  std::int64_t false_positives = 0;  // treated non-events

  [[nodiscard]] std::int64_t treated() const { return true_positives + false_positives; }
};

// probabilities [n] in [0, 1], outcome [n], thresholds in (0, 1); one result a threshold, same
// order. Errors: kInvalidArgument (lengths differ, no rows, a probability outside [0, 1], an
// outcome neither 0 nor 1, a threshold outside (0, 1)).
[[nodiscard]] Result<std::vector<ThresholdCounts>> CountAtThresholds(
    std::span<const double> probabilities, std::span<const double> outcome,
    std::span<const double> thresholds);

// The thresholds of `counts` that may be released together: between neighbours, and towards
// treating everybody and nobody, the number treated differs by 0 or by at least min_cell. Those in
// `first` (the pre-registered ones) are tried first, in their order, then the others in ascending
// order. The result ascends. Errors: kInvalidArgument (min_cell < 1; counts of different centers: n
// or events differ).
[[nodiscard]] Result<std::vector<ThresholdCounts>> MergeThresholds(
    std::span<const ThresholdCounts> counts, std::span<const double> first, std::int64_t min_cell);

// TP / n - FP / n w, in true positives a row.
[[nodiscard]] double NetBenefit(const ThresholdCounts& counts);
// m / n - (n - m) / n w.
[[nodiscard]] double NetBenefitOfTreatingAll(const ThresholdCounts& counts);
// 100 (NB - NB_all) / w: unnecessary treatments avoided in 100 rows.
[[nodiscard]] double InterventionsAvoidedPer100(const ThresholdCounts& counts);

// TP / m and TN / (n - m) with Wilson intervals; empty if the class is empty.
[[nodiscard]] std::optional<Estimate> Sensitivity(const ThresholdCounts& counts,
                                                  double level = 0.95);
[[nodiscard]] std::optional<Estimate> Specificity(const ThresholdCounts& counts,
                                                  double level = 0.95);

enum class Against { kNone, kAll };

// (n, sum v, sum v^2) of one comparison at one center.
struct RowSums {
  std::int64_t rows = 0;
  double sum = 0;
  double sum_of_squares = 0;
};
[[nodiscard]] RowSums SumsAgainst(const ThresholdCounts& counts, Against against);

// Mean of v and its variance (sum v^2 - (sum v)^2 / n) / (n - 1) / n; empty if n < 2. The variance
// is 0 when every row has the same v (nobody, or everybody, is treated).
[[nodiscard]] std::optional<CenterEffect> MeanAgainst(const RowSums& sums);

// Over centers by name: random effects of the row means (REML, never narrower than normal).
struct NetBenefitComparison {
  double threshold = 0;
  Against against = Against::kNone;
  RandomEffects effects;  // intervals at level 0.90, so that `lower` and `upper` are one-sided 95 %
  double lower = 0;
  double upper = 0;
};

// counts: each center's at this threshold. Errors: kInvalidArgument (thresholds differ);
// kFailedPrecondition (fewer than 2 centers; a center's rows do not vary: names it). The caller
// says at which threshold.
[[nodiscard]] Result<NetBenefitComparison> CompareOverCenters(
    const std::map<std::string, ThresholdCounts>& counts, Against against);

}  // namespace consilium::learning
