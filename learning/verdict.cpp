#include "learning/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace consilium::learning {
namespace {

constexpr std::string_view kProcedureSentence =
    "Leave-one-center-out: this supports the procedure; the shipped model has not been validated "
    "outside its training centers.";

// Two decimals, without "-0.00".
std::string Two(double value) {
  std::string text = fmt::format("{:.2f}", value);
  return text == "-0.00" ? "0.00" : text;
}

std::string Limits(const Interval& interval) {
  return fmt::format("[{}, {}]", Two(interval.low), Two(interval.high));
}

std::string Join(const std::vector<std::string>& parts) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += i + 1 == parts.size() ? " and " : ", ";
    text += parts[i];
  }
  return text;
}

std::string Plural(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

// A threshold as it was written in the study: 0.2 as "0.20", 0.125 as "0.125".
std::string ThresholdText(double threshold) {
  std::string text = fmt::format("{}", threshold);
  while (text.size() < 4) text += '0';
  return text;
}

struct Counting {
  std::vector<const VerdictCenter*> centers;
  std::vector<std::string> others;  // "switzerland does not (1 non-event)"
  std::int64_t events = 0;
  std::int64_t nonevents = 0;

  [[nodiscard]] int k() const { return static_cast<int>(centers.size()); }
};

Counting CountCenters(const VerdictInput& input) {
  Counting counting;
  for (const VerdictCenter& center : input.centers) {
    if (const std::optional<std::string> why = WhyNotCounting(center.center)) {
      counting.others.push_back(fmt::format("{} does not ({})", center.center.name, *why));
      continue;
    }
    counting.centers.push_back(&center);
    counting.events += center.center.external->events;
    counting.nonevents += center.center.external->nonevents;
  }
  return counting;
}

// "2 of 3 required centers count; switzerland does not (1 non-event)."
std::string CentersSentence(const Counting& counting) {
  std::string text =
      fmt::format("{} of {} required centers count", counting.k(), kCountingCentersMin);
  for (const std::string& other : counting.others) text += "; " + other;
  return text + ".";
}

Criterion JudgeEnough(const Counting& counting, std::vector<std::string>& sentences) {
  Criterion criterion{"C1 enough", CriterionStatus::kOpen, {}};
  const std::string size =
      fmt::format("{}, {} and {}", Plural(counting.k(), "counting center"),
                  Plural(counting.events, "event"), Plural(counting.nonevents, "non-event"));
  if (counting.k() < kCountingCentersMin) {
    criterion.finding = CentersSentence(counting);
    sentences.push_back("Insufficient evidence: " + criterion.finding);
    sentences.push_back(
        fmt::format("Too few centers (k < {}) to describe a new hospital.", kCountingCentersMin));
    return criterion;
  }
  if (counting.events < kTotalPerClassMin || counting.nonevents < kTotalPerClassMin) {
    criterion.finding = fmt::format("{}; at least {} events and {} non-events are required.", size,
                                    kTotalPerClassMin, kTotalPerClassMin);
    sentences.push_back("Insufficient evidence: " + criterion.finding);
    return criterion;
  }
  criterion.status = CriterionStatus::kPassed;
  criterion.finding =
      fmt::format("{}: {}.", size, counting.k() >= kFullCenters ? "full" : "minimum");
  return criterion;
}

Criterion JudgeFall(const VerdictInput& input, const Counting& counting,
                    const std::optional<PooledDegradation>& pooled_90,
                    std::vector<std::string>& sentences) {
  Criterion criterion{"C2 small fall", CriterionStatus::kOpen, {}};
  if (!pooled_90) {
    criterion.finding = fmt::format("No pooled fall: {} counting, {} required.",
                                    Plural(counting.k(), "center"), kCountingCentersMin);
  } else if (!pooled_90->delta_interval) {
    criterion.finding = fmt::format(
        "Delta {} without an interval: the internal AUC has no variance.", Two(pooled_90->delta));
  } else {
    const Interval& fall = *pooled_90->delta_interval;
    const bool small = fall.high < input.margin;
    const bool large = fall.low > input.margin;
    if (small) criterion.status = CriterionStatus::kPassed;
    if (large) criterion.status = CriterionStatus::kFailed;
    criterion.finding = fmt::format("Delta {}, 90 % interval {}: {} margin {}.",
                                    Two(pooled_90->delta), Limits(fall),
                                    small   ? "wholly below the"
                                    : large ? "wholly above the"
                                            : "not wholly below the",
                                    Two(input.margin));
    if (!small && !large) {
      sentences.push_back(fmt::format(
          "The data are compatible with a fall between {} and {}; a fall of {} cannot be excluded. "
          "This shows neither that the model holds nor that it fails.",
          Two(fall.low), Two(fall.high), Two(input.margin)));
    }
    if (large) {
      sentences.push_back(
          fmt::format("Discrimination fell by more than the margin of {}: the fall lies between {} "
                      "and {}.",
                      Two(input.margin), Two(fall.low), Two(fall.high)));
    }
  }
  for (const VerdictCenter* counted : counting.centers) {
    const std::optional<Degradation> at = DegradationAt(counted->center);
    if (!at || !at->interval || !(at->interval->low > input.margin)) continue;
    criterion.status = CriterionStatus::kFailed;
    const std::string finding =
        fmt::format("At {} the fall is {}, 95 % interval {}: wholly above the margin {}.",
                    counted->center.name, Two(at->delta), Limits(*at->interval), Two(input.margin));
    criterion.finding += " " + finding;
    sentences.push_back(finding);
  }
  return criterion;
}

Criterion JudgeWorth(const VerdictInput& input, const Counting& counting,
                     const std::optional<PooledDegradation>& pooled_95, bool small_fall,
                     std::vector<std::string>& sentences) {
  Criterion criterion{"C3 worth having", CriterionStatus::kOpen, {}};
  if (!pooled_95) {
    criterion.finding = fmt::format("No pooled AUC: {} counting, {} required.",
                                    Plural(counting.k(), "center"), kCountingCentersMin);
    return criterion;
  }
  const double floor = std::max(0.5, input.auc_floor);
  const Estimate& auc = pooled_95->auc;
  std::string_view relation = "not wholly above";
  if (auc.interval.low > floor) {
    criterion.status = CriterionStatus::kPassed;
    relation = "wholly above";
  } else if (auc.interval.high < floor) {
    criterion.status = CriterionStatus::kFailed;
    relation = "wholly below";
  }
  criterion.finding = fmt::format("External AUC {}, 95 % interval {}: {} {}.", Two(auc.value),
                                  Limits(auc.interval), relation, Two(floor));
  if (criterion.status == CriterionStatus::kPassed) return criterion;
  if (small_fall) {
    sentences.push_back(
        fmt::format("Discrimination did not fall, but it was low at home ({}); a small fall is not "
                    "a success.",
                    Two(pooled_95->internal_mean)));
  }
  if (criterion.status == CriterionStatus::kFailed) {
    sentences.push_back(
        fmt::format("Abroad the model does not discriminate: its AUC lies between {} and {}, below "
                    "{}.",
                    Two(auc.interval.low), Two(auc.interval.high), Two(floor)));
  }
  return criterion;
}

Criterion JudgeUse(const VerdictInput& input, const Counting& counting, Verdict& verdict) {
  Criterion criterion{"C4 useful", CriterionStatus::kOpen, {}};
  if (input.thresholds.empty()) {
    criterion.finding = "No threshold was pre-registered.";
    return criterion;
  }
  if (counting.k() < kCountingCentersMin) {
    criterion.finding = fmt::format("No pooled net benefit: {} counting, {} required.",
                                    Plural(counting.k(), "center"), kCountingCentersMin);
    return criterion;
  }
  std::vector<std::string> findings;
  bool failed = false;
  bool open = false;
  for (const double threshold : input.thresholds) {
    std::map<std::string, ThresholdCounts> counts;
    std::vector<std::string> missing;
    for (const VerdictCenter* counted : counting.centers) {
      const auto found =
          std::find_if(counted->counts.begin(), counted->counts.end(),
                       [&](const ThresholdCounts& at) { return at.threshold == threshold; });
      if (found == counted->counts.end()) {
        missing.push_back(counted->center.name);
      } else {
        counts.emplace(counted->center.name, *found);
      }
    }
    const std::string at = ThresholdText(threshold);
    if (!missing.empty()) {
      open = true;
      findings.push_back(fmt::format("at {} {} released no counts", at, Join(missing)));
      continue;
    }
    for (const Against against : {Against::kNone, Against::kAll}) {
      const std::string_view other = against == Against::kNone ? "treat-none" : "treat-all";
      const Result<NetBenefitComparison> compared = CompareOverCenters(counts, against);
      if (!compared) {
        open = true;
        findings.push_back(fmt::format("at {} against {} not comparable", at, other));
        verdict.sentences.push_back(
            fmt::format("Net benefit not distinguishable from {} at {}.", other, at));
        continue;
      }
      verdict.net_benefit.push_back(*compared);
      findings.push_back(fmt::format("at {} against {} {:.3f} [{:.3f}, {:.3f}]", at, other,
                                     compared->effects.mu, compared->lower, compared->upper));
      if (compared->lower > 0) continue;
      if (compared->upper < 0) {
        failed = true;
        verdict.sentences.push_back(fmt::format("Net benefit below {} at {}.", other, at));
      } else {
        open = true;
        verdict.sentences.push_back(
            fmt::format("Net benefit not distinguishable from {} at {}.", other, at));
      }
    }
  }
  criterion.finding =
      "Net benefit difference, 90 % interval (its lower end is the one-sided 95 % limit): ";
  for (std::size_t i = 0; i < findings.size(); ++i) {
    criterion.finding += (i > 0 ? "; " : "") + findings[i];
  }
  criterion.finding += ".";
  if (failed) {
    criterion.status = CriterionStatus::kFailed;
  } else if (!open) {
    criterion.status = CriterionStatus::kPassed;
  }
  return criterion;
}

// "Insufficient evidence: C2 small fall and C4 useful are open."
std::string OpenSentence(const std::vector<Criterion>& criteria) {
  std::vector<std::string> open;
  for (const Criterion& criterion : criteria) {
    if (criterion.status == CriterionStatus::kOpen) open.push_back(criterion.name);
  }
  return fmt::format("Insufficient evidence: {} {} open.", Join(open),
                     open.size() == 1 ? "is" : "are");
}

}  // namespace

std::string_view Name(VerdictWord word) {
  switch (word) {
    case VerdictWord::kReady:
      return "READY";
    case VerdictWord::kNotReady:
      return "NOT READY";
    case VerdictWord::kInsufficientEvidence:
      return "INSUFFICIENT EVIDENCE";
    case VerdictWord::kNotAssessed:
      return "NOT ASSESSED";
    case VerdictWord::kProcedureTransports:
      return "PROCEDURE TRANSPORTS";
  }
  return "NOT ASSESSED";
}

std::string_view Name(CriterionStatus status) {
  switch (status) {
    case CriterionStatus::kPassed:
      return "passed";
    case CriterionStatus::kFailed:
      return "failed";
    case CriterionStatus::kOpen:
      return "open";
  }
  return "open";
}

Result<Verdict> Judge(const VerdictInput& input) {
  if (!(input.margin > 0 && input.margin < 1)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("verdict: margin = {}, must be above 0 and below 1", input.margin));
  }
  if (!(input.auc_floor >= 0 && input.auc_floor < 1)) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("verdict: auc_floor = {}, must be at least 0 and below 1", input.auc_floor));
  }
  for (const double threshold : input.thresholds) {
    if (!(threshold > 0 && threshold < 1)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("verdict: threshold {} must be above 0 and below 1", threshold));
    }
  }
  Verdict verdict;
  if (!input.has_primary) {
    verdict.sentences.emplace_back(
        "Not assessed: the study pre-registered no primary model; every figure is exploratory.");
    return verdict;
  }
  const Counting counting = CountCenters(input);
  std::vector<HeldOutCenter> centers;
  centers.reserve(counting.centers.size());
  for (const VerdictCenter* counted : counting.centers) centers.push_back(counted->center);
  if (counting.k() >= kCountingCentersMin) {
    Result<PooledDegradation> at_95 = PoolDegradation(centers, 0.95);
    if (!at_95) return tl::unexpected<Error>(Within("verdict", std::move(at_95).error()));
    Result<PooledDegradation> at_90 = PoolDegradation(centers, 0.90);
    if (!at_90) return tl::unexpected<Error>(Within("verdict", std::move(at_90).error()));
    verdict.pooled_95 = *std::move(at_95);
    verdict.pooled_90 = *std::move(at_90);
  }

  const Criterion enough = JudgeEnough(counting, verdict.sentences);
  const Criterion fall = JudgeFall(input, counting, verdict.pooled_90, verdict.sentences);
  const Criterion worth = JudgeWorth(input, counting, verdict.pooled_95,
                                     fall.status == CriterionStatus::kPassed, verdict.sentences);
  const Criterion use = JudgeUse(input, counting, verdict);
  verdict.criteria = {enough, fall, worth, use};
  const auto any = [&](CriterionStatus status) {
    return std::any_of(verdict.criteria.begin(), verdict.criteria.end(),
                       [&](const Criterion& criterion) { return criterion.status == status; });
  };
  if (any(CriterionStatus::kFailed)) {
    verdict.word = VerdictWord::kNotReady;
  } else if (any(CriterionStatus::kOpen)) {
    verdict.word = VerdictWord::kInsufficientEvidence;
    if (enough.status == CriterionStatus::kPassed) {
      verdict.sentences.insert(verdict.sentences.begin(), OpenSentence(verdict.criteria));
    }
  } else {
    verdict.word =
        input.leave_one_center_out ? VerdictWord::kProcedureTransports : VerdictWord::kReady;
  }
  if (input.leave_one_center_out) verdict.sentences.emplace_back(kProcedureSentence);
  return verdict;
}

std::optional<std::string> NotEstimable(std::string_view group, std::int64_t events,
                                        std::int64_t nonevents, std::int64_t minimum) {
  if (events >= minimum && nonevents >= minimum) return std::nullopt;
  const std::string scarce =
      events <= nonevents ? Plural(events, "event") : Plural(nonevents, "non-event");
  return fmt::format("Not estimable in {}: {} (minimum {}).", group, scarce, minimum);
}

}  // namespace consilium::learning
