// The area under the ROC curve: what a center may say about it, and how centers are put together.
//
// Notation: m events and n non-events of a center, scores with higher = more risk of the declared
// event (the direction is fixed by the study, never guessed). U = pairs in which the event scores
// higher, plus half the ties; A = U / (m n). Placements: V10_i = share of non-events below event i,
// V01_j = share of events above non-event j (ties count half); s10, s01 = their variances with
// divisors m - 1, n - 1. Sources: DeLong, DeLong & Clarke-Pearson, Biometrics 44(3):837-845, 1988;
// for pairs inside centers only, Janes & Pepe, Biometrika 96(2):371-382, 2009, and van Klaveren et
// al., BMC Med Res Methodol 14:5, 2014; for folds, LeDell et al., Electron J Statist
// 9(1):1583-1607, 2015.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "learning/interval.h"

namespace consilium::learning {

// All that a center tells about one score: five numbers, exact.
struct AucComponents {
  std::int64_t events = 0;     // m
  std::int64_t nonevents = 0;  // n
  double u = 0;                // U, a multiple of 1/2; 0 if m or n is 0
  double s10 = 0;              // 0 if m < 2 or n = 0: then there is no variance
  double s01 = 0;              // 0 if n < 2 or m = 0

  [[nodiscard]] double pairs() const {
    return static_cast<double>(events) * static_cast<double>(nonevents);
  }
};

// The components of `scores` [n] for `outcome` [n] (1 = event, 0 = not), by mid-ranks in O(n log
// n). Counts are integers throughout, so the result does not depend on the order of the rows, nor
// on any strictly increasing transformation of the scores. Errors: kInvalidArgument (lengths
// differ; a score is NaN; an outcome is neither 0 nor 1; more than 2^31 - 1 rows: names the row).
[[nodiscard]] Result<AucComponents> ComputeAuc(std::span<const double> scores,
                                               std::span<const double> outcome);

// A = U / (m n); empty if m or n is 0.
[[nodiscard]] std::optional<double> AucValue(const AucComponents& components);

// V = s10 / m + s01 / n (DeLong); empty if m < 2 or n < 2. May be 0, for separated or constant
// scores.
[[nodiscard]] std::optional<double> AucVariance(const AucComponents& components);

// The interval on the logit scale; empty if m or n < 2, V = 0, or A is 0 or 1.
[[nodiscard]] std::optional<Interval> AucLogitInterval(const AucComponents& components,
                                                       double level = 0.95);

// A +- z sqrt(V), what pROC prints; empty if m or n < 2 or V = 0. May leave [0, 1].
[[nodiscard]] std::optional<Interval> AucWaldInterval(const AucComponents& components,
                                                      double level = 0.95);

// Two scores of the same rows.
struct PairedAucComponents {
  AucComponents first;
  AucComponents second;
  double c10 = 0;  // covariance of the two V10 over events, divisor m - 1; 0 if undefined
  double c01 = 0;  // of the two V01 over non-events, divisor n - 1
};

// As ComputeAuc, for two scores [n] of the same rows. Errors: as ComputeAuc.
[[nodiscard]] Result<PairedAucComponents> ComputePairedAuc(std::span<const double> first,
                                                           std::span<const double> second,
                                                           std::span<const double> outcome);

struct AucDifference {
  double value = 0;  // A_first - A_second
  double variance = 0;
  Interval interval;  // Wald
  double z = 0;
  double p = 1;  // two-sided
};

// DeLong's test for one center; empty if m or n < 2 or the difference has no variance.
[[nodiscard]] std::optional<AucDifference> DifferenceOfAucs(const PairedAucComponents& components,
                                                            double level = 0.95);

// Over centers by name: differences weighted by pairs, sum (m n)_c d_c / sum (m n)_c, independent
// between centers. Centers without a variance are left out. Empty if none is left.
[[nodiscard]] std::optional<AucDifference> CombineDifferences(
    const std::map<std::string, PairedAucComponents>& centers, double level = 0.95);

// The internal AUC of a training set: pairs inside centers only.
struct InternalAuc {
  double value = 0;  // sum U_c / sum m_c n_c
  std::optional<double>
      variance;  // sum (m_c n_c)^2 V_c / (sum m_c n_c)^2; empty if no center has V_c
  std::optional<Interval> interval;  // logit scale
  std::vector<std::string>
      without_variance;                    // have pairs but no V_c (m or n = 1): not in `variance`
  std::vector<std::string> without_pairs;  // have no event or no non-event: in nothing
};

// From each training center's components over its out-of-fold scores, by name. In `variance` the
// divisor counts the pairs of all centers, also of those whose V_c is missing.
// Errors: kFailedPrecondition (no center has both an event and a non-event).
[[nodiscard]] Result<InternalAuc> CombineWithinCenters(
    const std::map<std::string, AucComponents>& centers, double level = 0.95);

// Cumulative counts of rows called positive, from the highest score down.
struct RocPoint {
  std::int64_t events = 0;     // true positives
  std::int64_t nonevents = 0;  // false positives
  friend bool operator==(const RocPoint&, const RocPoint&) = default;
};

// A center's ROC curve from (0, 0) to (m, n), tied scores in one step, steps merged from the
// highest score down until each holds at least `min_cell` rows (a smaller rest joins the last
// step). No score leaves: only counts. Fewer than min_cell rows in all: the two ends. Errors: as
// ComputeAuc; kInvalidArgument (min_cell < 1).
[[nodiscard]] Result<std::vector<RocPoint>> MergedRoc(std::span<const double> scores,
                                                      std::span<const double> outcome,
                                                      std::int64_t min_cell);

inline constexpr int kScoreBins = 1024;

// Counts over the public grid [k / B, (k + 1) / B) of the probability scale; 1 falls in the last
// bin. They add over centers and folds.
struct ScoreHistogram {
  std::vector<std::int64_t> events;     // [B]
  std::vector<std::int64_t> nonevents;  // [B]
};

// probabilities [n] in [0, 1], outcome [n]. Errors: kInvalidArgument (lengths differ; a probability
// outside [0, 1]; an outcome neither 0 nor 1; bins < 1).
[[nodiscard]] Result<ScoreHistogram> HistogramOfScores(std::span<const double> probabilities,
                                                       std::span<const double> outcome,
                                                       int bins = kScoreBins);

struct HistogramAuc {
  double value = 0;        // pairs in one bin count half
  double error_bound = 0;  // |value - exact| is at most this: half the share of pairs in one bin
};

// Of a histogram, or of the sum of several: then it includes differences between centers.
// Errors: kInvalidArgument (lengths differ, a negative count), kFailedPrecondition (a class is
// empty).
[[nodiscard]] Result<HistogramAuc> AucOfHistogram(const ScoreHistogram& histogram);

}  // namespace consilium::learning
