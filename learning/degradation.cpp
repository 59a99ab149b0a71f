#include "learning/degradation.h"

#include <fmt/format.h>

#include "base/portable_math.h"

namespace consilium::learning {
namespace {

std::string Count(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

Interval OnAucScale(const Interval& logit) { return {Expit(logit.low), Expit(logit.high)}; }

// V_int is the same number at every level, its interval is not.
std::optional<Interval> InternalInterval(const InternalAuc& internal, double level) {
  if (!internal.variance) return std::nullopt;
  return LogitInterval(internal.value, *internal.variance, level);
}

}  // namespace

std::optional<std::string> WhyNotCounting(const HeldOutCenter& center) {
  if (center.learned_from) return "the model learned from it";
  if (!center.other_institution) return "same institution as a training center";
  if (!center.external) return center.absence.empty() ? "no external AUC" : center.absence;
  const AucComponents& external = *center.external;
  std::string few;
  if (external.events < kCountingPerClassMin) few = Count(external.events, "event");
  if (external.nonevents < kCountingPerClassMin) {
    if (!few.empty()) few += ", ";
    few += Count(external.nonevents, "non-event");
  }
  if (!few.empty()) return few;
  if (!AucLogitInterval(external)) return "its AUC has no variance";
  return std::nullopt;
}

std::optional<Degradation> DegradationAt(const HeldOutCenter& center, double level) {
  if (!center.internal || !center.external) return std::nullopt;
  const std::optional<double> external = AucValue(*center.external);
  if (!external) return std::nullopt;
  Degradation degradation{center.internal->value, *external, center.internal->value - *external,
                          std::nullopt};
  const std::optional<Interval> home = InternalInterval(*center.internal, level);
  const std::optional<Interval> abroad = AucLogitInterval(*center.external, level);
  if (home && abroad) {
    degradation.interval =
        MoverDifference({degradation.internal, *home}, {degradation.external, *abroad}).interval;
  }
  return degradation;
}

Result<PooledDegradation> PoolDegradation(std::span<const HeldOutCenter> centers, double level) {
  PooledDegradation pooled;
  pooled.level = level;
  std::vector<CenterEffect> effects;
  double internal = 0;
  double variance = 0;
  bool all_have_variance = true;
  std::string others;
  for (const HeldOutCenter& center : centers) {
    if (const std::optional<std::string> why = WhyNotCounting(center)) {
      others += fmt::format("; {} does not ({})", center.name, *why);
      continue;
    }
    if (!center.internal) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("degradation: center {} counts but the internal AUC of its training "
                              "centers is missing; compute it before pooling",
                              center.name));
    }
    const double auc = *AucValue(*center.external);
    const double scale = auc * (1 - auc);
    effects.push_back({Logit(auc), *AucVariance(*center.external) / (scale * scale)});
    pooled.centers.push_back(center.name);
    internal += center.internal->value;
    all_have_variance = all_have_variance && center.internal->variance.has_value();
    variance += center.internal->variance.value_or(0);
  }
  const auto k = static_cast<int>(effects.size());
  if (k < kCountingCentersMin) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("degradation: {} of {} required centers count{}; no number is pooled, "
                            "list the centers",
                            k, kCountingCentersMin, others));
  }
  RandomEffectsOptions options;
  options.level = level;
  Result<RandomEffects> combined = CombineEffects(effects, options);
  if (!combined) return tl::unexpected<Error>(Within("degradation", std::move(combined).error()));
  pooled.logit_auc = *std::move(combined);
  pooled.auc = {Expit(pooled.logit_auc.mu), OnAucScale(pooled.logit_auc.interval)};
  pooled.prediction = OnAucScale(*pooled.logit_auc.prediction);
  pooled.prediction_hts = OnAucScale(*pooled.logit_auc.prediction_hts);
  pooled.internal_mean = internal / k;
  pooled.delta = pooled.internal_mean - pooled.auc.value;
  if (all_have_variance) {
    pooled.internal_variance = variance / k;
    pooled.internal_interval =
        LogitInterval(pooled.internal_mean, *pooled.internal_variance, level);
  }
  if (pooled.internal_interval) {
    pooled.delta_interval =
        MoverDifference({pooled.internal_mean, *pooled.internal_interval}, pooled.auc).interval;
  }
  return pooled;
}

}  // namespace consilium::learning
