// May the primary model be used elsewhere? A word, four criteria, and the sentences that explain
// them.
//
// C1 enough: at least 3 counting centers (5 = full), 100 events and 100 non-events in all. C2 small
// fall: the upper limit of Delta's 90 % interval is below the margin. C3 worth having: the lower
// limit of expit(mu)'s 95 % interval is above max(0.5, auc_floor). C4 useful: at every
// pre-registered threshold the one-sided 95 % lower limits of the net benefit against treat-none
// and against treat-all are above 0. READY needs all four. NOT READY needs evidence: a limit wholly
// on the wrong side, or one counting center whose fall is certainly beyond the margin (lower 95 %
// limit of delta_h). Everything between is INSUFFICIENT EVIDENCE, which is not a failure. The
// two-sided 90 % interval against a margin is the non-inferiority test at one-sided 5 % (Walker &
// Nowacki, J Gen Intern Med 26(2):192-196, 2011).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "learning/degradation.h"
#include "learning/net_benefit.h"

namespace consilium::learning {

inline constexpr int kFullCenters = 5;  // k from which C1 is "full", not "minimum"
inline constexpr std::int64_t kTotalPerClassMin =
    100;  // events and non-events over counting centers

enum class VerdictWord {
  kReady,
  kNotReady,
  kInsufficientEvidence,
  kNotAssessed,          // no pre-registered primary
  kProcedureTransports,  // the best word under leave-one-center-out
};
// "READY", "NOT READY", "INSUFFICIENT EVIDENCE", "NOT ASSESSED", "PROCEDURE TRANSPORTS".
[[nodiscard]] std::string_view Name(VerdictWord word);

enum class CriterionStatus {
  kPassed,
  kFailed,  // the evidence is against it
  kOpen,    // the evidence does not decide it
};
[[nodiscard]] std::string_view Name(CriterionStatus status);  // "passed", "failed", "open"

struct Criterion {
  std::string name;  // "C1 enough", "C2 small fall", "C3 worth having", "C4 useful"
  CriterionStatus status = CriterionStatus::kOpen;
  std::string finding;  // one sentence with the numbers and what they were compared with
};

// A held-out center with its counts at the pre-registered thresholds.
struct VerdictCenter {
  HeldOutCenter center;
  std::vector<ThresholdCounts> counts;  // those that it released; a missing threshold opens C4
};

struct VerdictInput {
  bool has_primary = false;           // pre-registered
  bool leave_one_center_out = false;  // every held-out center has its own fit
  double margin = 0.10;               // of Delta and of every delta_h, AUC units, in (0, 1)
  double auc_floor = 0.5;             // in [0, 1)
  std::vector<double> thresholds;     // pre-registered, in (0, 1)
  std::vector<VerdictCenter> centers;
};

struct Verdict {
  VerdictWord word = VerdictWord::kNotAssessed;
  std::vector<Criterion> criteria;     // C1..C4; empty for NOT ASSESSED
  std::vector<std::string> sentences;  // for the report, in the order in which to print them
  std::optional<PooledDegradation> pooled_95;     // empty if k < 3
  std::optional<PooledDegradation> pooled_90;     // Delta of C2
  std::vector<NetBenefitComparison> net_benefit;  // threshold by threshold: none, then all
};

// Errors: kInvalidArgument (margin, auc_floor or a threshold outside its range).
[[nodiscard]] Result<Verdict> Judge(const VerdictInput& input);

// "Not estimable in [group]: 4 events (minimum 10)." for a subgroup below the minimum in a class,
// the scarcer class named (events on a tie); empty if it is estimable.
[[nodiscard]] std::optional<std::string> NotEstimable(std::string_view group, std::int64_t events,
                                                      std::int64_t nonevents,
                                                      std::int64_t minimum = kCountingPerClassMin);

}  // namespace consilium::learning
