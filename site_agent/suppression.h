// Small cells in what one center releases: withheld or merged before anything is written or sent.
//
// A release is cut along one line: rows ordered by predicted risk. Decision thresholds, calibration
// groups and ROC points are all cuts of that line, so they are thinned together: two kept cuts, of
// whichever blocks, have 0 or at least min_cell rows between them, and so has each cut with either
// end (the complement). A table (flow, subgroups) with a small cell loses a second one, so that the
// total does not give the first one back. Source: Disclosure rule 6; complementary suppression as
// in Hundepool et al., Statistical Disclosure Control, 2012, 4.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "federation/block.h"
#include "site_agent/ledger.h"

namespace consilium::site_agent {

// Rows by class behind a Release, counted by the caller on its own rows.
struct ClassCounts {
  std::int64_t events = 0;
  std::int64_t nonevents = 0;
  [[nodiscard]] std::int64_t rows() const { return events + nonevents; }
};

enum class SuppressionReason { kClassTooSmall = 1, kCellTooSmall = 2, kMerged = 3 };
// "fewer than 5 events or fewer than 5 non-events"
[[nodiscard]] std::string Explain(SuppressionReason reason, int min_cell);

// A number that is withheld is the one quiet NaN; a report prints "<5". A Release with withheld
// numbers carries one more block, kSuppressedBlock [s x 3]: index of the block, reason, how many of
// its rows.
inline constexpr char kSuppressedBlock[] = "gate.suppressed";

// A block that holds statistics of all rows together has at most so many numbers: a column of
// per-patient values must not pass for one.
inline constexpr Eigen::Index kStatisticsMax = 24;
inline constexpr Eigen::Index kGridRowsMax = 1000;

// The blocks that a report is about, by name, and how each is kept above the minimum cell:
//   flow [k x 1], n [1 x 1], counts [1 x 2], auc, auc_internal, calibration (at most kStatisticsMax
//   numbers), roc [k x 2], net_benefit_counts [t x 3] (threshold, false and true positives),
//   net_benefit [t x k], calibration_groups [g x 3] (rows, events, sum of predictions; rising
//   risk), subgroups [s x 4 + k] (variable, level, events, non-events, statistics).
[[nodiscard]] std::vector<ReleaseRule> StandardReleases();

// Errors: kInvalidArgument (a block is ruled twice, or follows a block that cannot be followed).
[[nodiscard]] Result<void> Validate(std::span<const ReleaseRule> rules);

struct Withheld {
  std::size_t block = 0;
  SuppressionReason reason = SuppressionReason::kCellTooSmall;
  std::int64_t rows = 0;
};
struct SuppressedRelease {
  federation::Release release;
  std::vector<Withheld> withheld;
};

// min_cell >= 1. Errors: kNotFound (a block is not among the rules: names it), kInvalidArgument (a
// block's shape or counts contradict its rule, the class counts or another block: names both).
[[nodiscard]] Result<SuppressedRelease> Suppress(std::span<const ReleaseRule> rules, int min_cell,
                                                 const ClassCounts& counts,
                                                 const federation::Release& release);

}  // namespace consilium::site_agent
