#include "harmonization/combat_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "harmonization/combat_query.h"

namespace consilium::harmonization {
namespace {

using federation::Query;
using federation::Sums;
using federation::Task;
using federation::Total;
using internal::PowerOfTwo;
using internal::Selection;

constexpr double kCollinearPivot = 1e-10;  // of a unit diagonal
constexpr double kNearlyCollinearPivot = 1e-8;
constexpr double kNoCovariateSpread = 1e-24;  // per row, in binary units of the covariate
constexpr double kAssociationWarned = 0.3;
constexpr double kResidualSdMin = 0x1.0p-44;  // in binary units: rounding of the input, and no more

std::string NameOf(const std::vector<std::string>& names, int position) {
  const auto at = static_cast<std::size_t>(position);
  return at < names.size() ? names[at] : fmt::format("number {}", position + 1);
}

std::string CovariateName(const CombatOptions& options, Eigen::Index k) {
  return NameOf(options.covariate_names, options.covariates[static_cast<std::size_t>(k)]);
}

Result<void> Validate(const CombatOptions& options) {
  const auto wrong = [](std::string_view field, std::string_view what) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("CombatOptions: {}: {}", field, what));
  };
  const auto in_range = [](const std::vector<int>& exponents) {
    return std::all_of(exponents.begin(), exponents.end(), [](int exponent) {
      return exponent >= -internal::kExponentMax && exponent <= internal::kExponentMax;
    });
  };
  const auto are_positions = [](const std::vector<int>& positions) {
    return std::set<int>(positions.begin(), positions.end()).size() == positions.size() &&
           std::all_of(positions.begin(), positions.end(), [](int at) { return at >= 0; });
  };
  if (options.scope.members.size() < 2) {
    return wrong("scope.members",
                 "one training center; ComBat aligns centers, so at least 2 are needed");
  }
  if (!are_positions(options.columns))
    return wrong("columns", "a position is negative or stands twice");
  if (!are_positions(options.covariates)) {
    return wrong("covariates", "a position is negative or stands twice");
  }
  if (options.exponent.size() != options.columns.size() || !in_range(options.exponent)) {
    return wrong("exponent", "one power of two for each column, within -400 and 400");
  }
  if (options.covariate_exponent.size() != options.covariates.size() ||
      !in_range(options.covariate_exponent)) {
    return wrong("covariate_exponent", "one power of two for each covariate, within -400 and 400");
  }
  if (!are_positions(options.pass_through) ||
      std::any_of(options.pass_through.begin(), options.pass_through.end(),
                  [&](int at) { return at >= static_cast<int>(options.columns.size()); })) {
    return wrong("pass_through", "positions within `columns`, each once");
  }
  if (!(options.rows >= 0) || !std::isfinite(options.rows)) return wrong("rows", "must be >= 0");
  if (options.apply.scale_rows_min < 2) return wrong("apply.scale_rows_min", "must be >= 2");
  return {};
}

// A symmetric p x p system, factored as L D L' in the order of largest remaining pivots after
// scaling to a unit diagonal.
struct Factor {
  Eigen::VectorXd scale;            // [p] 1 / sqrt(diagonal)
  std::vector<Eigen::Index> order;  // [p]
  Eigen::MatrixXd lower;            // [p x p] in that order, unit diagonal
  Eigen::VectorXd pivot;            // [p] in that order
  Eigen::Index rank = 0;
};

// scatter [p(p+1)/2]: upper triangle by columns. A column whose diagonal is below diagonal_min has
// no spread.
Factor Decompose(const Eigen::Ref<const Eigen::VectorXd>& scatter, Eigen::Index p,
                 double diagonal_min) {
  Factor factor;
  Eigen::MatrixXd a(p, p);
  Eigen::Index pair = 0;
  for (Eigen::Index k = 0; k < p; ++k) {
    for (Eigen::Index l = 0; l <= k; ++l) a(l, k) = a(k, l) = scatter(pair++);
  }
  factor.scale = Eigen::VectorXd::Zero(p);
  for (Eigen::Index k = 0; k < p; ++k) {
    if (a(k, k) > diagonal_min) factor.scale(k) = 1 / std::sqrt(a(k, k));
  }
  for (Eigen::Index k = 0; k < p; ++k) {
    for (Eigen::Index l = 0; l < p; ++l) a(l, k) *= factor.scale(l) * factor.scale(k);
  }
  factor.order.resize(static_cast<std::size_t>(p));
  std::iota(factor.order.begin(), factor.order.end(), Eigen::Index{0});
  factor.lower = Eigen::MatrixXd::Identity(p, p);
  factor.pivot = Eigen::VectorXd::Zero(p);
  for (Eigen::Index step = 0; step < p; ++step) {
    Eigen::Index best = step;
    for (Eigen::Index k = step + 1; k < p; ++k) {
      if (a(k, k) > a(best, best)) best = k;
    }
    if (best != step) {
      a.row(best).swap(a.row(step));
      a.col(best).swap(a.col(step));
      for (Eigen::Index l = 0; l < step; ++l)
        std::swap(factor.lower(best, l), factor.lower(step, l));
      std::swap(factor.order[static_cast<std::size_t>(best)],
                factor.order[static_cast<std::size_t>(step)]);
    }
    factor.pivot(step) = a(step, step);
    if (!(a(step, step) > kCollinearPivot)) return factor;
    ++factor.rank;
    for (Eigen::Index k = step + 1; k < p; ++k) factor.lower(k, step) = a(k, step) / a(step, step);
    for (Eigen::Index k = step + 1; k < p; ++k) {
      for (Eigen::Index l = step + 1; l < p; ++l) {
        a(l, k) -= factor.lower(l, step) * a(step, step) * factor.lower(k, step);
      }
    }
  }
  return factor;
}

Eigen::VectorXd Solve(const Factor& factor, const Eigen::Ref<const Eigen::VectorXd>& right) {
  const Eigen::Index p = right.size();
  Eigen::VectorXd w(p);
  for (Eigen::Index i = 0; i < p; ++i) {
    const Eigen::Index k = factor.order[static_cast<std::size_t>(i)];
    w(i) = right(k) * factor.scale(k);
    for (Eigen::Index l = 0; l < i; ++l) w(i) -= factor.lower(i, l) * w(l);
  }
  for (Eigen::Index i = 0; i < p; ++i) w(i) /= factor.pivot(i);
  for (Eigen::Index i = p - 1; i >= 0; --i) {
    for (Eigen::Index l = i + 1; l < p; ++l) w(i) -= factor.lower(l, i) * w(l);
  }
  Eigen::VectorXd solution(p);
  for (Eigen::Index i = 0; i < p; ++i) {
    const Eigen::Index k = factor.order[static_cast<std::size_t>(i)];
    solution(k) = w(i) * factor.scale(k);
  }
  return solution;
}

// Names the covariate at which the rank ends. `feature` is -1 when the scatter is that of all rows.
Error Collinear(const CombatOptions& options, const Factor& factor, int feature) {
  const Eigen::Index k = factor.order[static_cast<std::size_t>(factor.rank)];
  const std::string where = feature < 0 ? std::string("ComBat")
                                        : fmt::format("ComBat: feature {} (rows with a value)",
                                                      NameOf(options.feature_names, feature));
  if (factor.scale(k) == 0) {
    return Error{
        ErrorCode::kFailedPrecondition,
        fmt::format("{}: covariate {} has the same value within every training center, so its "
                    "effect cannot be told from the centers' own; remove it from the preserved "
                    "variables",
                    where, CovariateName(options, k))};
  }
  std::string others;
  for (Eigen::Index i = 0; i < factor.rank; ++i) {
    others +=
        (i == 0 ? "" : ", ") + CovariateName(options, factor.order[static_cast<std::size_t>(i)]);
  }
  return Error{
      ErrorCode::kFailedPrecondition,
      fmt::format("{}: within centers, covariate {} is a linear combination of {}; remove one "
                  "of them from the preserved variables",
                  where, CovariateName(options, k), others)};
}

// The state between the rounds, in binary units of features and covariates.
struct Fit {
  CombatModel model;
  Selection selection;         // the features that are asked about
  std::vector<int> positions;  // [G] within the options' columns
  Eigen::VectorXd observed;    // [G]
  Eigen::VectorXd noise;       // [G] the sd below which a residual is rounding
};

Fit Begin(CombatOptions options) {
  Fit fit;
  const std::size_t count = options.columns.size();
  const std::set<int> untouched(options.pass_through.begin(), options.pass_through.end());
  fit.model.status.assign(count, FeatureStatus::kPassThrough);
  for (std::size_t c = 0; c < count; ++c) {
    if (untouched.contains(static_cast<int>(c))) continue;
    fit.model.status[c] = FeatureStatus::kAdjusted;
    fit.positions.push_back(static_cast<int>(c));
    fit.selection.columns.push_back(options.columns[c]);
    fit.selection.exponent.push_back(options.exponent[c]);
  }
  fit.selection.covariates = options.covariates;
  fit.selection.covariate_exponent = options.covariate_exponent;
  fit.selection.missing_allowed = options.missing_allowed;
  fit.selection.rows = options.rows;
  const auto size = static_cast<Eigen::Index>(count);
  const auto p = static_cast<Eigen::Index>(options.covariates.size());
  StandardizingModel& shared = fit.model.standardizing;
  shared.alpha = shared.alpha_low = Eigen::VectorXd::Zero(size);
  shared.beta = Eigen::MatrixXd::Zero(p, size);
  shared.var_pooled = Eigen::VectorXd::Ones(size);
  fit.model.observed = Eigen::VectorXd::Zero(size);
  fit.model.options = std::move(options);
  return fit;
}

// Covariates that differ between centers more than the 0.3 of their variance, and nearly collinear
// ones.
void Warn(const Total& total, const Factor& factor, CombatModel& model) {
  const Eigen::MatrixXd& sum_x = total["sum_x"];
  const Eigen::MatrixXd& between_x = total["between_x"];
  const Eigen::MatrixXd& scatter = total["scatter_xx"];
  for (Eigen::Index k = 0; k < factor.scale.size(); ++k) {
    const double between = std::max(0.0, between_x(k, 0) - sum_x(k, 0) * sum_x(k, 0) / model.rows);
    const double within = scatter(k * (k + 1) / 2 + k, 0);
    const double share = between / (between + within);
    if (!(share > kAssociationWarned)) continue;
    model.warnings.push_back(
        {CombatWarningKind::kAssociatedWithSite, static_cast<int>(k), share,
         fmt::format(
             "covariate {} differs between centers (eta^2 = {:.2f}): its effect is extrapolated "
             "from within centers, and a wrong one moves whole centers",
             CovariateName(model.options, k), share)});
  }
  for (Eigen::Index i = 0; i < factor.pivot.size(); ++i) {
    if (factor.pivot(i) > kNearlyCollinearPivot) continue;
    const Eigen::Index k = factor.order[static_cast<std::size_t>(i)];
    model.warnings.push_back(
        {CombatWarningKind::kNearlyCollinear, static_cast<int>(k), factor.pivot(i),
         fmt::format("covariate {} is nearly a combination of the other preserved "
                     "ones within centers ({:.1e} of its variance is its own)",
                     CovariateName(model.options, k), factor.pivot(i))});
  }
}

Error Impossible(const CombatOptions& options, int column, std::string_view what) {
  return Error{
      ErrorCode::kDataLoss,
      fmt::format("ComBat: feature {}: {}, which no rows can give; some site's answer is damaged",
                  NameOf(options.feature_names, column), what)};
}

// First round: beta and alpha of every feature that has spread in every center.
Result<void> TakeMoments(const Total& total, Fit& fit) {
  CombatModel& model = fit.model;
  const CombatOptions& options = model.options;
  const auto p = static_cast<Eigen::Index>(options.covariates.size());
  const auto members = static_cast<double>(options.scope.members.size());
  model.rows = total["rows"](0, 0);
  if (options.rows != 0 && options.rows != model.rows) {
    return Fail(
        ErrorCode::kDataLoss,
        fmt::format("ComBat: {} training rows, {} in an earlier round of the same scope; a site's "
                    "cohort changed during the study",
                    model.rows, options.rows));
  }
  if (!(model.rows > members + static_cast<double>(p))) {
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("ComBat: {} training rows for {} centers and {} covariates; expected more rows "
                    "than coefficients. Preserve fewer variables",
                    model.rows, members, p));
  }
  const bool by_feature = options.missing_allowed;
  Factor factor;
  if (p > 0) {
    // With missing values the factor of column 0 speaks for the warnings; each feature has its own
    // below.
    factor = Decompose(total["scatter_xx"].col(0), p, kNoCovariateSpread * model.rows);
    if (!by_feature && factor.rank < p)
      return tl::unexpected<Error>(Collinear(options, factor, -1));
    if (factor.rank == p) Warn(total, factor, model);
  }
  std::vector<int> kept;
  Selection selection = fit.selection;
  selection.columns.clear();
  selection.exponent.clear();
  selection.rows = model.rows;
  std::vector<double> observed, noise;
  for (std::size_t i = 0; i < fit.positions.size(); ++i) {
    const auto g = static_cast<Eigen::Index>(i);
    const auto c = static_cast<Eigen::Index>(fit.positions[i]);
    const int column = fit.selection.columns[i];
    const double values = total["observed"](g, 0), flags = total["sites_without_spread"](g, 0);
    model.observed(c) = values;
    if (!(values >= 0 && values <= model.rows && flags >= 0 && flags <= members)) {
      return tl::unexpected<Error>(Impossible(options, column, "the counts contradict each other"));
    }
    if (flags > 0) {
      model.status[static_cast<std::size_t>(c)] =
          flags < members ? FeatureStatus::kNoSpreadSomewhere : FeatureStatus::kNoSpreadAnywhere;
      continue;
    }
    if (!(values > members + static_cast<double>(p))) {
      return Fail(
          ErrorCode::kFailedPrecondition,
          fmt::format("ComBat: feature {} has {} values for {} centers and {} covariates; leave "
                      "the feature out or preserve fewer variables",
                      NameOf(options.feature_names, column), values, members, p));
    }
    Eigen::VectorXd beta = Eigen::VectorXd::Zero(p);
    double mean_effect = 0, slopes = 0;
    if (p > 0) {
      if (by_feature) {
        factor = Decompose(total["scatter_xx"].col(g), p, kNoCovariateSpread * values);
        if (factor.rank < p) return tl::unexpected<Error>(Collinear(options, factor, column));
      }
      beta = Solve(factor, total["scatter_xy"].col(g));
      for (Eigen::Index k = 0; k < p; ++k) {
        mean_effect += total["sum_x"](k, by_feature ? g : 0) * beta(k);
        slopes += std::fabs(beta(k));
      }
    }
    const int exponent = fit.selection.exponent[i];
    model.standardizing.alpha(c) =
        (total["sum_y"](g, 0) - mean_effect) / model.rows * PowerOfTwo(exponent);
    for (Eigen::Index k = 0; k < p; ++k) {
      const int of_covariate = options.covariate_exponent[static_cast<std::size_t>(k)];
      model.standardizing.beta(k, c) = beta(k) * PowerOfTwo(exponent - of_covariate);
    }
    kept.push_back(fit.positions[i]);
    selection.columns.push_back(column);
    selection.exponent.push_back(exponent);
    observed.push_back(values);
    noise.push_back(kResidualSdMin * (1 + slopes));
  }
  fit.positions = std::move(kept);
  fit.selection = std::move(selection);
  fit.observed =
      Eigen::Map<Eigen::VectorXd>(observed.data(), static_cast<Eigen::Index>(observed.size()));
  fit.noise = Eigen::Map<Eigen::VectorXd>(noise.data(), static_cast<Eigen::Index>(noise.size()));
  return {};
}

Query AskResiduals(const Fit& fit) {
  internal::ResidualsInputs inputs;
  inputs.selection = fit.selection;
  const auto count = static_cast<Eigen::Index>(fit.positions.size());
  const StandardizingModel& shared = fit.model.standardizing;
  inputs.alpha.resize(count);
  inputs.beta.resize(shared.beta.rows(), count);
  for (Eigen::Index g = 0; g < count; ++g) {
    const int c = fit.positions[static_cast<std::size_t>(g)];
    inputs.alpha(g) = shared.alpha(c);
    inputs.beta.col(g) = shared.beta.col(c);
  }
  return internal::ResidualsQuery(fit.model.options.scope, inputs);
}

// Second round: what alpha lost by rounding, and sigma^2.
Result<void> TakeResiduals(const Total& total, Fit& fit) {
  CombatModel& model = fit.model;
  StandardizingModel& shared = model.standardizing;
  for (std::size_t i = 0; i < fit.positions.size(); ++i) {
    const auto g = static_cast<Eigen::Index>(i);
    const int c = fit.positions[i];
    const double squares = total["squares"](g, 0);
    if (!(squares >= 0)) {
      return tl::unexpected<Error>(
          Impossible(model.options, fit.selection.columns[i], "a negative sum of squares"));
    }
    const double variance = squares / fit.observed(g);
    if (std::sqrt(variance) <= fit.noise(g)) {
      model.status[static_cast<std::size_t>(c)] = FeatureStatus::kNoResidualVariance;
      shared.alpha(c) = 0;
      shared.beta.col(c).setZero();
      continue;
    }
    const double unit = PowerOfTwo(fit.selection.exponent[i]);
    const double low = total["sum_residual"](g, 0) / model.rows * unit;
    const double high = shared.alpha(c) + low;  // Knuth's TwoSum: high + alpha_low is the exact sum
    const double back = high - shared.alpha(c);
    shared.alpha_low(c) = (shared.alpha(c) - (high - back)) + (low - back);
    shared.alpha(c) = high;
    shared.var_pooled(c) = variance * unit * unit;
  }
  return {};
}

}  // namespace

std::string Describe(FeatureStatus status) {
  switch (status) {
    case FeatureStatus::kAdjusted:
      return "adjusted";
    case FeatureStatus::kPassThrough:
      return "left untouched, as asked";
    case FeatureStatus::kNoSpreadSomewhere:
      return "left untouched: constant inside a training center";
    case FeatureStatus::kNoSpreadAnywhere:
      return "left untouched: constant inside every training center";
    case FeatureStatus::kNoResidualVariance:
      return "left untouched: a linear function of the covariates";
  }
  return "unknown";
}

std::vector<int> CombatModel::With(FeatureStatus wanted) const {
  std::vector<int> positions;
  for (std::size_t c = 0; c < status.size(); ++c) {
    if (status[c] == wanted) positions.push_back(static_cast<int>(c));
  }
  return positions;
}

Task<CombatModel> FitCombat(Sums& sums, CombatOptions options) {
  const Result<void> valid = Validate(options);
  if (!valid) co_return tl::unexpected<Error>(valid.error());
  Fit fit = Begin(std::move(options));
  if (fit.positions.empty()) co_return std::move(fit.model);

  Query moments_query = internal::MomentsQuery(fit.model.options.scope, fit.selection);
  auto moments_asked = sums.Of(std::move(moments_query));
  const Total moments = co_await moments_asked;
  const Result<void> solved = TakeMoments(moments, fit);
  if (!solved) co_return tl::unexpected<Error>(solved.error());
  if (fit.positions.empty()) co_return std::move(fit.model);

  Query residuals_query = AskResiduals(fit);
  auto residuals_asked = sums.Of(std::move(residuals_query));
  const Total residuals = co_await residuals_asked;
  const Result<void> scaled = TakeResiduals(residuals, fit);
  if (!scaled) co_return tl::unexpected<Error>(scaled.error());
  co_return std::move(fit.model);
}

Query ApplyQuery(const CombatModel& model) {
  internal::ApplyInputs inputs;
  inputs.columns = model.options.columns;
  inputs.positions = model.With(FeatureStatus::kAdjusted);
  inputs.covariates = model.options.covariates;
  inputs.options = model.options.apply;
  const auto count = static_cast<Eigen::Index>(inputs.positions.size());
  const StandardizingModel& shared = model.standardizing;
  inputs.model.alpha.resize(count);
  inputs.model.alpha_low.resize(count);
  inputs.model.beta.resize(shared.beta.rows(), count);
  inputs.model.var_pooled.resize(count);
  for (Eigen::Index g = 0; g < count; ++g) {
    const int c = inputs.positions[static_cast<std::size_t>(g)];
    inputs.model.alpha(g) = shared.alpha(c);
    inputs.model.alpha_low(g) = shared.alpha_low(c);
    inputs.model.beta.col(g) = shared.beta.col(c);
    inputs.model.var_pooled(g) = shared.var_pooled(c);
  }
  return internal::ApplyQuery(model.options.scope, inputs);
}

Task<CombatModel> HarmonizeWithCombat(Sums& sums, CombatOptions options) {
  Task<CombatModel> fit = FitCombat(sums, std::move(options));
  Result<CombatModel> model = co_await fit;
  if (!model) co_return model;
  Query apply_query = ApplyQuery(*model);
  auto apply_asked = sums.Of(std::move(apply_query));
  const Total applied = co_await apply_asked;
  const bool fitted = model->rows > 0;  // false when every column passes through
  if (fitted && applied["rows"](0, 0) != model->rows) {
    co_return Fail(
        ErrorCode::kDataLoss,
        fmt::format("ComBat was fitted on {} rows and applied to {} training rows; a site's "
                    "cohort changed during the study",
                    model->rows, applied["rows"](0, 0)));
  }
  co_return model;
}

}  // namespace consilium::harmonization
