#include "learning/auc.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/bytes.h"
#include "base/distributions.h"

namespace consilium::learning {
namespace {

Result<void> CheckOutcome(std::size_t values, std::string_view what,
                          std::span<const double> outcome) {
  if (values != outcome.size()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: found {} values for {} outcomes; give one for each row", what,
                            values, outcome.size()));
  }
  if (outcome.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: found {} rows, expected at most 2^31 - 1; split the center", what,
                            outcome.size()));
  }
  for (std::size_t row = 0; row < outcome.size(); ++row) {
    if (outcome[row] != 0 && outcome[row] != 1) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: the outcome of row {} is neither 0 nor 1; code the event as 1 "
                              "and exclude rows without an outcome",
                              what, row + 1));
    }
  }
  return {};
}

Result<void> CheckScores(std::span<const double> scores, std::span<const double> outcome) {
  CONSILIUM_TRY(CheckOutcome(scores.size(), "scores", outcome));
  for (std::size_t row = 0; row < scores.size(); ++row) {
    if (std::isnan(scores[row])) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("scores: row {} has no score (NaN), expected a number; impute its "
                              "features or exclude it",
                              row + 1));
    }
  }
  return {};
}

std::vector<std::size_t> OrderByScore(std::span<const double> scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  return order;
}

// One past the last row of the tied group that begins at `from`.
std::size_t EndOfTies(std::span<const double> scores, const std::vector<std::size_t>& order,
                      std::size_t from) {
  std::size_t to = from + 1;
  while (to < order.size() && scores[order[to]] == scores[order[from]]) ++to;
  return to;
}

// Twice the placements as integers: for an event 2 n V10, for a non-event 2 m V01. [rows]
struct Placements {
  std::int64_t events = 0;
  std::int64_t nonevents = 0;
  std::vector<std::int64_t> twice;
};

Placements Place(std::span<const double> scores, std::span<const double> outcome) {
  Placements placed;
  placed.twice.resize(scores.size());
  for (const double y : outcome) (y == 1 ? placed.events : placed.nonevents) += 1;
  const std::vector<std::size_t> order = OrderByScore(scores);
  std::int64_t events_below = 0;
  std::int64_t nonevents_below = 0;
  for (std::size_t from = 0; from < order.size();) {
    const std::size_t to = EndOfTies(scores, order, from);
    std::int64_t events_here = 0;
    for (std::size_t i = from; i < to; ++i) events_here += outcome[order[i]] == 1 ? 1 : 0;
    const std::int64_t nonevents_here = static_cast<std::int64_t>(to - from) - events_here;
    for (std::size_t i = from; i < to; ++i) {
      placed.twice[order[i]] = outcome[order[i]] == 1
                                   ? 2 * nonevents_below + nonevents_here
                                   : 2 * (placed.events - events_below - events_here) + events_here;
    }
    events_below += events_here;
    nonevents_below += nonevents_here;
    from = to;
  }
  return placed;
}

// Covariance, divisor count - 1, of two lists of placements over one class, from exact integer
// sums: (count sum ab - sum a sum b) / (count (count - 1) 4 others^2).
double Covariance(const Placements& a, const Placements& b, std::span<const double> outcome,
                  double wanted) {
  const std::int64_t count = wanted == 1 ? a.events : a.nonevents;
  const std::int64_t others = wanted == 1 ? a.nonevents : a.events;
  if (count < 2 || others < 1) return 0;
  Int128 product = 0;
  Int128 sum_a = 0;
  Int128 sum_b = 0;
  for (std::size_t row = 0; row < outcome.size(); ++row) {
    if (outcome[row] != wanted) continue;
    product += static_cast<Int128>(a.twice[row]) * b.twice[row];
    sum_a += a.twice[row];
    sum_b += b.twice[row];
  }
  const Int128 spread = count * product - sum_a * sum_b;
  const double scale = 4 * static_cast<double>(others) * static_cast<double>(others);
  return static_cast<double>(spread) / static_cast<double>(count) / static_cast<double>(count - 1) /
         scale;
}

AucComponents ComponentsOf(const Placements& placed, std::span<const double> outcome) {
  AucComponents components{placed.events, placed.nonevents, 0, 0, 0};
  std::int64_t twice_u = 0;
  for (std::size_t row = 0; row < outcome.size(); ++row) {
    if (outcome[row] == 1) twice_u += placed.twice[row];
  }
  components.u = 0.5 * static_cast<double>(twice_u);
  components.s10 = Covariance(placed, placed, outcome, 1);
  components.s01 = Covariance(placed, placed, outcome, 0);
  return components;
}

bool HasVariance(const AucComponents& components) {
  return components.events >= 2 && components.nonevents >= 2;
}

double VarianceOfDifference(const PairedAucComponents& paired) {
  const AucComponents& a = paired.first;
  const AucComponents& b = paired.second;
  return (a.s10 + b.s10 - 2 * paired.c10) / static_cast<double>(a.events) +
         (a.s01 + b.s01 - 2 * paired.c01) / static_cast<double>(a.nonevents);
}

std::optional<AucDifference> Describe(double value, double variance, double level) {
  const std::optional<Interval> interval = WaldInterval(value, variance, level);
  if (!interval) return std::nullopt;
  const double z = value / std::sqrt(variance);
  return AucDifference{value, variance, *interval, z, 2 * NormalCdf(-std::fabs(z))};
}

}  // namespace

Result<AucComponents> ComputeAuc(std::span<const double> scores, std::span<const double> outcome) {
  CONSILIUM_TRY(CheckScores(scores, outcome));
  return ComponentsOf(Place(scores, outcome), outcome);
}

std::optional<double> AucValue(const AucComponents& components) {
  if (components.events < 1 || components.nonevents < 1) return std::nullopt;
  return components.u / components.pairs();
}

std::optional<double> AucVariance(const AucComponents& components) {
  if (!HasVariance(components)) return std::nullopt;
  return components.s10 / static_cast<double>(components.events) +
         components.s01 / static_cast<double>(components.nonevents);
}

std::optional<Interval> AucLogitInterval(const AucComponents& components, double level) {
  const std::optional<double> variance = AucVariance(components);
  if (!variance) return std::nullopt;
  return LogitInterval(*AucValue(components), *variance, level);
}

std::optional<Interval> AucWaldInterval(const AucComponents& components, double level) {
  const std::optional<double> variance = AucVariance(components);
  if (!variance) return std::nullopt;
  return WaldInterval(*AucValue(components), *variance, level);
}

Result<PairedAucComponents> ComputePairedAuc(std::span<const double> first,
                                             std::span<const double> second,
                                             std::span<const double> outcome) {
  CONSILIUM_TRY(CheckScores(first, outcome));
  CONSILIUM_TRY(CheckScores(second, outcome));
  const Placements a = Place(first, outcome);
  const Placements b = Place(second, outcome);
  return PairedAucComponents{ComponentsOf(a, outcome), ComponentsOf(b, outcome),
                             Covariance(a, b, outcome, 1), Covariance(a, b, outcome, 0)};
}

std::optional<AucDifference> DifferenceOfAucs(const PairedAucComponents& components, double level) {
  if (!HasVariance(components.first)) return std::nullopt;
  return Describe(*AucValue(components.first) - *AucValue(components.second),
                  VarianceOfDifference(components), level);
}

std::optional<AucDifference> CombineDifferences(
    const std::map<std::string, PairedAucComponents>& centers, double level) {
  double pairs = 0;
  double sum = 0;
  double variance = 0;
  for (const auto& [name, paired] : centers) {
    if (!DifferenceOfAucs(paired, level)) continue;
    const double weight = paired.first.pairs();
    pairs += weight;
    sum += paired.first.u - paired.second.u;
    variance += weight * weight * VarianceOfDifference(paired);
  }
  if (pairs == 0) return std::nullopt;
  return Describe(sum / pairs, variance / (pairs * pairs), level);
}

Result<InternalAuc> CombineWithinCenters(const std::map<std::string, AucComponents>& centers,
                                         double level) {
  InternalAuc internal;
  double u = 0;
  double pairs = 0;
  double weighted = 0;
  bool any_variance = false;
  for (const auto& [name, components] : centers) {
    if (components.pairs() == 0) {
      internal.without_pairs.push_back(name);
      continue;
    }
    u += components.u;
    pairs += components.pairs();
    const std::optional<double> variance = AucVariance(components);
    if (!variance) {
      internal.without_variance.push_back(name);
      continue;
    }
    weighted += components.pairs() * components.pairs() * *variance;
    any_variance = true;
  }
  if (pairs == 0) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("internal AUC: none of {} training centers has both an event and a "
                            "non-event, expected at least one; add a center or widen the outcome",
                            centers.size()));
  }
  internal.value = u / pairs;
  if (any_variance) {
    internal.variance = weighted / (pairs * pairs);
    internal.interval = LogitInterval(internal.value, *internal.variance, level);
  }
  return internal;
}

Result<std::vector<RocPoint>> MergedRoc(std::span<const double> scores,
                                        std::span<const double> outcome, std::int64_t min_cell) {
  if (min_cell < 1) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("min_cell = {}, must be >= 1", min_cell));
  }
  CONSILIUM_TRY(CheckScores(scores, outcome));
  std::vector<std::size_t> order = OrderByScore(scores);
  std::reverse(order.begin(), order.end());
  std::vector<RocPoint> points = {RocPoint{}};
  RocPoint here;
  const auto rows = [](const RocPoint& point) { return point.events + point.nonevents; };
  for (std::size_t from = 0; from < order.size();) {
    const std::size_t to = EndOfTies(scores, order, from);
    for (std::size_t i = from; i < to; ++i) {
      (outcome[order[i]] == 1 ? here.events : here.nonevents) += 1;
    }
    if (rows(here) - rows(points.back()) >= min_cell) points.push_back(here);
    from = to;
  }
  if (points.back() != here || points.size() == 1) {  // the rest joins the last step
    if (points.size() > 1) points.pop_back();
    points.push_back(here);
  }
  return points;
}

Result<ScoreHistogram> HistogramOfScores(std::span<const double> probabilities,
                                         std::span<const double> outcome, int bins) {
  if (bins < 1) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("bins = {}, must be >= 1", bins));
  }
  CONSILIUM_TRY(CheckOutcome(probabilities.size(), "probabilities", outcome));
  ScoreHistogram histogram;
  histogram.events.resize(static_cast<std::size_t>(bins));
  histogram.nonevents.resize(static_cast<std::size_t>(bins));
  for (std::size_t row = 0; row < probabilities.size(); ++row) {
    const double probability = probabilities[row];
    if (!(probability >= 0 && probability <= 1)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("probabilities: row {} is outside [0, 1]; give predicted "
                              "probabilities, not linear predictors",
                              row + 1));
    }
    const int bin = std::min(bins - 1, static_cast<int>(std::floor(probability * bins)));
    (outcome[row] == 1 ? histogram.events : histogram.nonevents)[static_cast<std::size_t>(bin)] +=
        1;
  }
  return histogram;
}

Result<HistogramAuc> AucOfHistogram(const ScoreHistogram& histogram) {
  if (histogram.events.size() != histogram.nonevents.size()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("score histogram: found {} bins of events and {} of non-events, "
                            "expected the same grid",
                            histogram.events.size(), histogram.nonevents.size()));
  }
  Int128 twice_u = 0;
  Int128 tied = 0;
  std::int64_t events = 0;
  std::int64_t nonevents = 0;
  for (std::size_t bin = 0; bin < histogram.events.size(); ++bin) {
    const std::int64_t e = histogram.events[bin];
    const std::int64_t n = histogram.nonevents[bin];
    if (e < 0 || n < 0) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("score histogram: bin {} has a negative count", bin));
    }
    twice_u += static_cast<Int128>(e) * (2 * nonevents + n);
    tied += static_cast<Int128>(e) * n;
    events += e;
    nonevents += n;
  }
  if (events == 0 || nonevents == 0) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("score histogram: found {} events and {} non-events, expected at least "
                            "one of each",
                            events, nonevents));
  }
  const double pairs = static_cast<double>(events) * static_cast<double>(nonevents);
  return HistogramAuc{0.5 * static_cast<double>(twice_u) / pairs,
                      0.5 * static_cast<double>(tied) / pairs};
}

}  // namespace consilium::learning
