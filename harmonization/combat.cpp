#include "harmonization/combat.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace consilium::harmonization {
namespace {

constexpr double kReferenceStop = 1e-4;
constexpr double kConvergedStop = 1e-14;
constexpr double kRelativeSpreadMin = 1e-8;

// Mean and variance (divisor count - 1) in two passes, in order.
struct Moments {
  double mean = 0;
  double variance = 0;
};

Moments MomentsOf(const Eigen::Ref<const Eigen::VectorXd>& values) {
  const Eigen::Index count = values.size();
  if (count == 0) return {};
  double sum = 0;
  for (Eigen::Index i = 0; i < count; ++i) sum += values(i);
  const double first = sum / static_cast<double>(count);
  double rest = 0;
  double squares = 0;
  for (Eigen::Index i = 0; i < count; ++i) {
    const double d = values(i) - first;
    rest += d;
    squares += d * d;
  }
  const double correction = rest / static_cast<double>(count);  // what rounding took from the mean
  squares = std::max(0.0, squares - rest * correction);
  return {first + correction, count < 2 ? 0.0 : squares / static_cast<double>(count - 1)};
}

// (y - alpha - x' beta) of one feature, in its units. y - alpha first: close numbers subtract
// exactly.
double Residual(double y, const Eigen::Ref<const Eigen::MatrixXd>& covariates, Eigen::Index row,
                const StandardizingModel& model, Eigen::Index g) {
  double effect = model.alpha_low(g);
  for (Eigen::Index k = 0; k < model.beta.rows(); ++k)
    effect += covariates(row, k) * model.beta(k, g);
  return (y - model.alpha(g)) - effect;
}

void CheckShapes(const Eigen::Ref<const Eigen::MatrixXd>& features,
                 const Eigen::Ref<const Eigen::MatrixXd>& covariates,
                 const StandardizingModel& model) {
  CONSILIUM_CHECK(features.cols() == model.alpha.size() && features.cols() == model.beta.cols() &&
                      features.cols() == model.alpha_low.size() &&
                      features.cols() == model.var_pooled.size(),
                  "a standardizing model has one alpha, beta and variance for each feature");
  CONSILIUM_CHECK(covariates.cols() == model.beta.rows() &&
                      (covariates.cols() == 0 || covariates.rows() == features.rows()),
                  "covariates are [n x p] with the p of the standardizing model");
}

Result<void> CheckMoments(const LocationScale& moments, const EmpiricalBayesOptions& options) {
  const Eigen::Index count = moments.n.size();
  if (count == 0 || moments.gamma_hat.size() != count || moments.delta_hat.size() != count) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("ComBat: n, gamma and delta are given for {}, {} and {} features; expected "
                    "the same number, at least 1",
                    count, moments.gamma_hat.size(), moments.delta_hat.size()));
  }
  const bool scales = options.scaling == Scaling::kLocationAndScale;
  for (Eigen::Index g = 0; g < count; ++g) {
    if (!std::isfinite(moments.gamma_hat(g)) || !std::isfinite(moments.delta_hat(g)) ||
        moments.delta_hat(g) < 0) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("ComBat: feature {}: the standardized mean or variance is not a finite "
                      "number; check the column for infinities",
                      g + 1));
    }
    if (!(moments.n(g) >= (scales ? 2 : 1))) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("ComBat: feature {}: {} rows observed, expected at least {}; leave the "
                      "feature out or adjust the mean only",
                      g + 1, moments.n(g), scales ? 2 : 1));
    }
    if (scales && options.shrinkage == Shrinkage::kNone && moments.delta_hat(g) == 0) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("ComBat: feature {}: no spread in this center, and without shrinkage there "
                      "is nothing to scale by; leave the feature out",
                      g + 1));
    }
  }
  return {};
}

// |now - before| / before as the reference programs take it: a negative parameter never holds the
// loop.
double SignedChange(double now, double before) {
  if (before == 0) return now == 0 ? 0 : std::numeric_limits<double>::infinity();
  return std::fabs(now - before) / before;
}

// gamma* and delta* by alternating the two posterior means until the stop rule holds.
Result<void> Iterate(StopRule stop, SiteEstimates& site) {
  const Eigen::Index count = site.n.size();
  const double gamma_scale = std::sqrt(site.t2);
  site.gamma_star = site.gamma_hat;
  site.delta_star = site.delta_hat;
  double change = 1;
  const double limit = stop == StopRule::kReference ? kReferenceStop : kConvergedStop;
  while (change > limit) {
    if (site.iterations == kIterationsMax) {
      return Fail(ErrorCode::kOutOfRange,
                  fmt::format("ComBat: the empirical Bayes step has not come to rest after {} "
                              "iterations; look for features of extreme scale, or leave them out",
                              kIterationsMax));
    }
    change = -std::numeric_limits<double>::infinity();
    for (Eigen::Index g = 0; g < count; ++g) {
      const double n = site.n(g);
      const double g_old = site.gamma_star(g);
      const double d_old = site.delta_star(g);
      const double weight = n * site.t2;
      const double g_new = (weight * site.gamma_hat(g) + d_old * site.gamma_bar) / (weight + d_old);
      const double away = site.gamma_hat(g) - g_new;
      const double squares = (n - 1) * site.delta_hat(g) + n * (away * away);
      const double d_new = (0.5 * squares + site.b_prior) / (n / 2 + site.a_prior - 1);
      if (!std::isfinite(g_new) || !std::isfinite(d_new)) {
        return Fail(
            ErrorCode::kOutOfRange,
            fmt::format("ComBat: feature {}: the empirical Bayes step left the finite numbers "
                        "in iteration {}; leave the feature out",
                        g + 1, site.iterations + 1));
      }
      if (stop == StopRule::kReference) {
        change = std::max({change, SignedChange(g_new, g_old), SignedChange(d_new, d_old)});
      } else {
        const double g_size = std::max(std::fabs(g_old), gamma_scale);
        change = std::max(change, g_size == 0 ? 0 : std::fabs(g_new - g_old) / g_size);
        change = std::max(change, std::fabs(d_new - d_old) / d_new);
      }
      site.gamma_star(g) = g_new;
      site.delta_star(g) = d_new;
    }
    ++site.iterations;
    site.last_change = change;
  }
  return {};
}

// Some features of a center's moments.
LocationScale Select(const LocationScale& moments, const std::vector<Eigen::Index>& columns) {
  const auto count = static_cast<Eigen::Index>(columns.size());
  LocationScale selected{Eigen::VectorXd(count), Eigen::VectorXd(count), Eigen::VectorXd(count)};
  for (Eigen::Index i = 0; i < count; ++i) {
    const Eigen::Index g = columns[static_cast<std::size_t>(i)];
    selected.n(i) = moments.n(g);
    selected.gamma_hat(i) = moments.gamma_hat(g);
    selected.delta_hat(i) = moments.delta_hat(g);
  }
  return selected;
}

}  // namespace

Eigen::MatrixXd Standardize(const Eigen::Ref<const Eigen::MatrixXd>& features,
                            const Eigen::Ref<const Eigen::MatrixXd>& covariates,
                            const StandardizingModel& model) {
  CheckShapes(features, covariates, model);
  Eigen::MatrixXd z(features.rows(), features.cols());
  for (Eigen::Index g = 0; g < features.cols(); ++g) {
    const double sigma = std::sqrt(model.var_pooled(g));
    for (Eigen::Index j = 0; j < features.rows(); ++j) {
      z(j, g) = Residual(features(j, g), covariates, j, model, g) / sigma;
    }
  }
  return z;
}

LocationScale Summarize(const Eigen::Ref<const Eigen::MatrixXd>& z) {
  LocationScale moments{Eigen::VectorXd(z.cols()), Eigen::VectorXd(z.cols()),
                        Eigen::VectorXd(z.cols())};
  Eigen::VectorXd observed(z.rows());
  for (Eigen::Index g = 0; g < z.cols(); ++g) {
    Eigen::Index count = 0;
    for (Eigen::Index j = 0; j < z.rows(); ++j) {
      if (!std::isnan(z(j, g))) observed(count++) = z(j, g);
    }
    const Moments of_column = MomentsOf(observed.head(count));
    moments.n(g) = static_cast<double>(count);
    moments.gamma_hat(g) = of_column.mean;
    moments.delta_hat(g) = of_column.variance;
  }
  return moments;
}

Result<SiteEstimates> Shrink(const LocationScale& moments, const EmpiricalBayesOptions& options) {
  CONSILIUM_TRY(CheckMoments(moments, options));
  const Eigen::Index count = moments.n.size();
  SiteEstimates site;
  site.n = moments.n;
  site.gamma_hat = moments.gamma_hat;
  const bool scales = options.scaling == Scaling::kLocationAndScale;
  site.delta_hat = scales ? moments.delta_hat : Eigen::VectorXd::Ones(count);
  site.gamma_star = site.gamma_hat;
  site.delta_star = site.delta_hat;
  if (options.shrinkage == Shrinkage::kNone) return site;
  if (count == 1) {
    if (site.delta_hat(0) == 0) {
      return Fail(
          ErrorCode::kInvalidArgument,
          "ComBat: the only feature has no spread in this center; there is nothing to scale by");
    }
    site.notice = "one feature: no prior over features, so nothing is shrunk";
    return site;
  }

  const Moments gamma = MomentsOf(site.gamma_hat);
  site.gamma_bar = gamma.mean;
  site.t2 = gamma.variance;
  if (!scales) {
    for (Eigen::Index g = 0; g < count; ++g) {
      const double weight = (options.scaling == Scaling::kMeanOnly ? 1.0 : site.n(g)) * site.t2;
      site.gamma_star(g) = (weight * site.gamma_hat(g) + site.gamma_bar) / (weight + 1);
    }
    return site;
  }

  const Moments delta = MomentsOf(site.delta_hat);
  const double m = delta.mean;
  const double s2 = delta.variance;
  const double shape = (2 * s2 + m * m) / s2;
  if (m == 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "ComBat: no feature has any spread in this center; leave these features out");
  }
  if (!(s2 > 0) || !std::isfinite(shape)) {
    site.notice = "equal spread in all features: the prior of the scale is a point";
    for (Eigen::Index g = 0; g < count; ++g) {
      const double weight = site.n(g) * site.t2;
      site.delta_star(g) = m;
      site.gamma_star(g) = (weight * site.gamma_hat(g) + m * site.gamma_bar) / (weight + m);
    }
    return site;
  }
  site.a_prior = shape;
  site.b_prior = (m * s2 + m * m * m) / s2;
  CONSILIUM_TRY(Iterate(options.stop, site));
  return site;
}

Eigen::MatrixXd Adjust(const Eigen::Ref<const Eigen::MatrixXd>& features,
                       const Eigen::Ref<const Eigen::MatrixXd>& covariates,
                       const StandardizingModel& model,
                       const Eigen::Ref<const Eigen::VectorXd>& gamma_star,
                       const Eigen::Ref<const Eigen::VectorXd>& delta_star) {
  CheckShapes(features, covariates, model);
  CONSILIUM_CHECK(gamma_star.size() == features.cols() && delta_star.size() == features.cols(),
                  "a center has one gamma and one delta for each feature");
  Eigen::MatrixXd adjusted(features.rows(), features.cols());
  for (Eigen::Index g = 0; g < features.cols(); ++g) {
    const double shift = std::sqrt(model.var_pooled(g)) * gamma_star(g);
    const double scale = std::sqrt(delta_star(g));
    for (Eigen::Index j = 0; j < features.rows(); ++j) {
      double effect = model.alpha_low(g);
      for (Eigen::Index k = 0; k < model.beta.rows(); ++k)
        effect += covariates(j, k) * model.beta(k, g);
      const double residual = (features(j, g) - model.alpha(g)) - effect;
      adjusted(j, g) = ((residual - shift) / scale + effect) + model.alpha(g);
    }
  }
  return adjusted;
}

std::string Describe(Application application) {
  switch (application) {
    case Application::kTrainingMember:
      return "training member";
    case Application::kFrozenLocationScale:
      return "frozen: location and scale";
    case Application::kFrozenMeanOnly:
      return "frozen: location only (too few rows for a scale)";
    case Application::kPassThrough:
      return "not harmonized (fewer than 2 rows)";
  }
  return "unknown";
}

Result<Frozen> ApplyFrozen(const Eigen::Ref<const Eigen::MatrixXd>& features,
                           const Eigen::Ref<const Eigen::MatrixXd>& covariates,
                           const StandardizingModel& model, const FrozenOptions& options) {
  const Eigen::Index p = model.beta.rows();
  if (features.cols() != model.alpha.size() || covariates.cols() != p ||
      (p > 0 && covariates.rows() != features.rows())) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("ComBat: {} features and {} covariates given, the model has {} and {}; use "
                    "the columns the model was fitted on",
                    features.cols(), covariates.cols(), model.alpha.size(), p));
  }
  for (Eigen::Index k = 0; k < p; ++k) {
    if (!covariates.col(k).array().isFinite().all()) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("ComBat: covariate {} is missing or not finite in some row; exclude such "
                      "rows before harmonization",
                      k + 1));
    }
  }
  Frozen frozen;
  frozen.adjusted = features;
  if (features.rows() < 2 || features.cols() == 0) return frozen;

  EmpiricalBayesOptions bayes = options.bayes;
  const bool few_rows = features.rows() < std::max(options.scale_rows_min, 2);
  if (bayes.scaling == Scaling::kLocationAndScale && few_rows) bayes.scaling = Scaling::kMeanOnlyN;
  frozen.application = bayes.scaling == Scaling::kLocationAndScale
                           ? Application::kFrozenLocationScale
                           : Application::kFrozenMeanOnly;

  std::vector<Eigen::Index> regular;
  for (Eigen::Index g = 0; g < features.cols(); ++g) {
    (HasNoSpread(features.col(g)) ? frozen.location_only : regular).push_back(g);
  }
  const LocationScale moments = Summarize(Standardize(features, covariates, model));
  frozen.estimates.n = moments.n;
  frozen.estimates.gamma_hat = moments.gamma_hat;
  frozen.estimates.delta_hat = moments.delta_hat;
  frozen.estimates.gamma_star = Eigen::VectorXd::Zero(features.cols());
  frozen.estimates.delta_star = Eigen::VectorXd::Ones(features.cols());
  SiteEstimates shrunk;
  if (!regular.empty()) {
    Result<SiteEstimates> result = Shrink(Select(moments, regular), bayes);
    if (!result) return tl::unexpected<Error>(std::move(result).error());
    shrunk = std::move(*result);
  }
  for (std::size_t i = 0; i < regular.size(); ++i) {
    const auto at = static_cast<Eigen::Index>(i);
    frozen.estimates.delta_hat(regular[i]) = shrunk.delta_hat(at);
    frozen.estimates.gamma_star(regular[i]) = shrunk.gamma_star(at);
    frozen.estimates.delta_star(regular[i]) = shrunk.delta_star(at);
  }
  for (const Eigen::Index g : frozen.location_only) {
    const double weight = moments.n(g) * shrunk.t2;
    const bool shrinks = bayes.shrinkage == Shrinkage::kEmpiricalBayes && regular.size() >= 2;
    frozen.estimates.gamma_star(g) =
        shrinks ? (weight * moments.gamma_hat(g) + shrunk.gamma_bar) / (weight + 1)
                : moments.gamma_hat(g);
  }
  frozen.estimates.gamma_bar = shrunk.gamma_bar;
  frozen.estimates.t2 = shrunk.t2;
  frozen.estimates.a_prior = shrunk.a_prior;
  frozen.estimates.b_prior = shrunk.b_prior;
  frozen.estimates.iterations = shrunk.iterations;
  frozen.estimates.last_change = shrunk.last_change;
  frozen.estimates.notice = shrunk.notice;
  frozen.adjusted =
      Adjust(features, covariates, model, frozen.estimates.gamma_star, frozen.estimates.delta_star);
  return frozen;
}

bool HasNoSpread(const Eigen::Ref<const Eigen::VectorXd>& column) {
  Eigen::VectorXd observed(column.size());
  Eigen::Index count = 0;
  for (Eigen::Index j = 0; j < column.size(); ++j) {
    if (!std::isnan(column(j))) observed(count++) = column(j);
  }
  if (count < 2) return true;
  double largest = 0;
  for (Eigen::Index j = 0; j < count; ++j) largest = std::max(largest, std::fabs(observed(j)));
  if (largest == 0) return true;
  for (Eigen::Index j = 0; j < count; ++j)
    observed(j) /= largest;  // squares of tiny units must not vanish
  const Moments moments = MomentsOf(observed.head(count));
  return std::sqrt(moments.variance) <= kRelativeSpreadMin * std::fabs(moments.mean);
}

Result<void> CheckPreserved(const std::vector<std::string>& preserved, const std::string& outcome,
                            bool trains_model) {
  if (!trains_model) return {};
  for (const std::string& name : preserved) {
    if (name == outcome || name.starts_with(outcome + "=")) {
      return Fail(
          ErrorCode::kPermissionDenied,
          fmt::format("harmonization: preserve: {} is the outcome; a model is trained on the "
                      "harmonized features, which would then carry the label of their own row "
                      "and look predictive when they are not. Remove it from the list",
                      name));
    }
  }
  return {};
}

}  // namespace consilium::harmonization
