#include "learning/net_benefit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace consilium::learning {
namespace {

double Weight(double threshold) { return threshold / (1 - threshold); }

Result<void> CheckRows(std::span<const double> probabilities, std::span<const double> outcome) {
  if (probabilities.size() != outcome.size() || outcome.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("net benefit: found {} probabilities and {} outcomes, expected one of "
                            "each for every row and at least one row",
                            probabilities.size(), outcome.size()));
  }
  for (std::size_t row = 0; row < outcome.size(); ++row) {
    if (!(probabilities[row] >= 0 && probabilities[row] <= 1)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("net benefit: the probability of row {} is outside [0, 1]; give "
                              "predicted probabilities, not linear predictors",
                              row + 1));
    }
    if (outcome[row] != 0 && outcome[row] != 1) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("net benefit: the outcome of row {} is neither 0 nor 1; code the "
                              "event as 1 and exclude rows without an outcome",
                              row + 1));
    }
  }
  return {};
}

std::optional<Estimate> Proportion(std::int64_t count, std::int64_t total, double level) {
  const std::optional<Interval> interval = WilsonInterval(count, total, level);
  if (!interval) return std::nullopt;
  return Estimate{static_cast<double>(count) / static_cast<double>(total), *interval};
}

}  // namespace

Result<std::vector<ThresholdCounts>> CountAtThresholds(std::span<const double> probabilities,
                                                       std::span<const double> outcome,
                                                       std::span<const double> thresholds) {
  CONSILIUM_TRY(CheckRows(probabilities, outcome));
  std::vector<double> events;
  std::vector<double> nonevents;
  for (std::size_t row = 0; row < outcome.size(); ++row) {
    (outcome[row] == 1 ? events : nonevents).push_back(probabilities[row]);
  }
  std::sort(events.begin(), events.end());
  std::sort(nonevents.begin(), nonevents.end());
  const auto at_least = [](const std::vector<double>& sorted, double threshold) {
    return static_cast<std::int64_t>(sorted.end() -
                                     std::lower_bound(sorted.begin(), sorted.end(), threshold));
  };
  std::vector<ThresholdCounts> counts;
  counts.reserve(thresholds.size());
  for (const double threshold : thresholds) {
    if (!(threshold > 0 && threshold < 1)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("net benefit: threshold {} must be above 0 and below 1", threshold));
    }
    counts.push_back({threshold, static_cast<std::int64_t>(outcome.size()),
                      static_cast<std::int64_t>(events.size()), at_least(events, threshold),
                      at_least(nonevents, threshold)});
  }
  return counts;
}

Result<std::vector<ThresholdCounts>> MergeThresholds(std::span<const ThresholdCounts> counts,
                                                     std::span<const double> first,
                                                     std::int64_t min_cell) {
  if (min_cell < 1) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("min_cell = {}, must be >= 1", min_cell));
  }
  for (const ThresholdCounts& at : counts) {
    if (at.rows != counts.front().rows || at.events != counts.front().events) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("net benefit: threshold {} counts {} rows, threshold {} counts {}; "
                      "merge the thresholds of one center at a time",
                      counts.front().threshold, counts.front().rows, at.threshold, at.rows));
    }
  }
  std::map<double, ThresholdCounts> by_threshold;
  for (const ThresholdCounts& at : counts) by_threshold.emplace(at.threshold, at);
  std::vector<double> order;
  for (const double threshold : first) {
    if (by_threshold.contains(threshold)) order.push_back(threshold);
  }
  for (const auto& [threshold, at] : by_threshold) order.push_back(threshold);

  std::map<double, ThresholdCounts> kept;
  for (const double threshold : order) {
    const ThresholdCounts& at = by_threshold.at(threshold);
    const auto above = kept.lower_bound(threshold);
    if (above != kept.end() && above->first == threshold) continue;
    const std::int64_t treated_below =
        above == kept.begin() ? at.rows : std::prev(above)->second.treated();
    const std::int64_t treated_above = above == kept.end() ? 0 : above->second.treated();
    const auto allowed = [&](std::int64_t rows) { return rows == 0 || rows >= min_cell; };
    if (allowed(treated_below - at.treated()) && allowed(at.treated() - treated_above)) {
      kept.emplace(threshold, at);
    }
  }
  std::vector<ThresholdCounts> released;
  released.reserve(kept.size());
  for (const auto& [threshold, at] : kept) released.push_back(at);
  return released;
}

double NetBenefit(const ThresholdCounts& counts) {
  const double n = static_cast<double>(counts.rows);
  return static_cast<double>(counts.true_positives) / n -
         static_cast<double>(counts.false_positives) / n * Weight(counts.threshold);
}

double NetBenefitOfTreatingAll(const ThresholdCounts& counts) {
  const double n = static_cast<double>(counts.rows);
  return static_cast<double>(counts.events) / n -
         static_cast<double>(counts.rows - counts.events) / n * Weight(counts.threshold);
}

double InterventionsAvoidedPer100(const ThresholdCounts& counts) {
  return 100 * (NetBenefit(counts) - NetBenefitOfTreatingAll(counts)) / Weight(counts.threshold);
}

std::optional<Estimate> Sensitivity(const ThresholdCounts& counts, double level) {
  return Proportion(counts.true_positives, counts.events, level);
}

std::optional<Estimate> Specificity(const ThresholdCounts& counts, double level) {
  const std::int64_t nonevents = counts.rows - counts.events;
  return Proportion(nonevents - counts.false_positives, nonevents, level);
}

RowSums SumsAgainst(const ThresholdCounts& counts, Against against) {
  const double w = Weight(counts.threshold);
  if (against == Against::kNone) {
    const auto tp = static_cast<double>(counts.true_positives);
    const auto fp = static_cast<double>(counts.false_positives);
    return {counts.rows, tp - fp * w, tp + fp * w * w};
  }
  const auto fn = static_cast<double>(counts.events - counts.true_positives);
  const auto tn = static_cast<double>(counts.rows - counts.events - counts.false_positives);
  return {counts.rows, tn * w - fn, fn + tn * w * w};
}

std::optional<CenterEffect> MeanAgainst(const RowSums& sums) {
  if (sums.rows < 2) return std::nullopt;
  const double n = static_cast<double>(sums.rows);
  const double mean = sums.sum / n;
  const double spread = sums.sum_of_squares - sums.sum * mean;
  // Equal rows leave a rounding of the difference, not a variance.
  const bool equal = spread <= 1e-12 * sums.sum_of_squares;
  return CenterEffect{mean, equal ? 0 : spread / (n - 1) / n};
}

Result<NetBenefitComparison> CompareOverCenters(
    const std::map<std::string, ThresholdCounts>& counts, Against against) {
  NetBenefitComparison comparison;
  comparison.against = against;
  std::vector<CenterEffect> effects;
  for (const auto& [name, at] : counts) {
    if (!effects.empty() && at.threshold != comparison.threshold) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("center {} was counted at threshold {}, the others at "
                              "{}; compare one threshold at a time",
                              name, at.threshold, comparison.threshold));
    }
    comparison.threshold = at.threshold;
    const std::optional<CenterEffect> effect = MeanAgainst(SumsAgainst(at, against));
    if (!effect || !(effect->variance > 0)) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("all rows of center {} have the same difference against treat-{}, "
                              "expected some that differ; choose a threshold inside its range of "
                              "predictions",
                              name, against == Against::kNone ? "none" : "all"));
    }
    effects.push_back(*effect);
  }
  RandomEffectsOptions options;
  options.level = 0.90;
  Result<RandomEffects> combined = CombineEffects(effects, options);
  if (!combined) return tl::unexpected<Error>(std::move(combined).error());
  comparison.effects = *std::move(combined);
  comparison.lower = comparison.effects.interval.low;
  comparison.upper = comparison.effects.interval.high;
  return comparison;
}

}  // namespace consilium::learning
