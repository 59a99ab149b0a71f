#include "harmonization/combat_steps.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "federation/fixed_point.h"
#include "harmonization/combat_query.h"

namespace consilium::harmonization {
namespace {

using federation::Answer;
using federation::AnswerBlock;
using federation::BlockLayout;
using federation::Cohort;
using federation::Context;
using federation::Derived;
using federation::DerivedValue;
using federation::Disclosure;
using federation::ExactSum;
using federation::Query;
using internal::ApplyInputs;
using internal::kCountFormat;
using internal::kSumFormat;
using internal::PowerOfTwo;
using internal::ResidualsInputs;
using internal::Selection;

constexpr double kResidualUnitsMax = 512;  // of 2^exponent; see ExactSum::Add

Result<void> CheckColumns(const Cohort& cohort, const std::vector<int>& columns,
                          const std::vector<int>& covariates) {
  for (const int column : columns) {
    if (column >= cohort.features.cols()) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("site {}: feature {} asked, the cohort has {}; site and study differ in "
                      "their lists of columns",
                      cohort.site, column + 1, cohort.features.cols()));
    }
  }
  for (const int column : covariates) {
    if (column >= cohort.covariates.cols()) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("site {}: covariate {} asked, the cohort has {}; site and study differ in "
                      "their lists of variables",
                      cohort.site, column + 1, cohort.covariates.cols()));
    }
  }
  return {};
}

Result<std::vector<Eigen::Index>> TrainingRowsOf(const Context& context, const Query& query) {
  std::vector<Eigen::Index> rows = context.Rows(query.scope).rows;
  if (rows.size() < 2) {
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("site {}: {} training row(s), ComBat needs at least 2 to estimate a center's "
                    "own location and scale; take the site out of training (as a held-out center "
                    "it is harmonized as far as its rows allow)",
                    context.cohort.site, rows.size()));
  }
  return rows;
}

// The covariates of `rows` [n x p], in the cohort's units. Errors: kOutOfRange.
Result<Eigen::MatrixXd> CovariatesOf(const Cohort& cohort, const std::vector<Eigen::Index>& rows,
                                     const std::vector<int>& covariates) {
  Eigen::MatrixXd x(static_cast<Eigen::Index>(rows.size()),
                    static_cast<Eigen::Index>(covariates.size()));
  for (Eigen::Index k = 0; k < x.cols(); ++k) {
    const int column = covariates[static_cast<std::size_t>(k)];
    for (Eigen::Index j = 0; j < x.rows(); ++j) {
      x(j, k) = cohort.covariates(rows[static_cast<std::size_t>(j)], column);
    }
    if (!x.col(k).array().isFinite().all()) {
      return Fail(
          ErrorCode::kOutOfRange,
          fmt::format("site {}: covariate {} is missing or not finite in some training row; such "
                      "rows must be excluded when the cohort is built",
                      cohort.site, cohort.covariate_names[static_cast<std::size_t>(column)]));
    }
  }
  return x;
}

// One feature over the training rows: which rows have it, and its values there.
struct Observed {
  std::vector<Eigen::Index> at;  // positions within the training rows
  Eigen::VectorXd values;        // [m] feature units
};

Result<Observed> ObservedOf(const Cohort& cohort, const std::vector<Eigen::Index>& rows,
                            const Selection& selection, Eigen::Index g) {
  const int column = selection.columns[static_cast<std::size_t>(g)];
  const double bound = PowerOfTwo(selection.exponent[static_cast<std::size_t>(g)]);
  const auto name = [&] { return cohort.feature_names[static_cast<std::size_t>(column)]; };
  Observed observed;
  observed.values.resize(static_cast<Eigen::Index>(rows.size()));
  Eigen::Index count = 0;
  for (std::size_t j = 0; j < rows.size(); ++j) {
    const double value = cohort.features(rows[j], column);
    if (std::isnan(value)) continue;
    if (!(std::fabs(value) <= bound)) {
      return Fail(
          ErrorCode::kOutOfRange,
          fmt::format("site {}: feature {} has a value beyond its public bound 2^{}; measure the "
                      "scales on the same rows before harmonization",
                      cohort.site, name(), selection.exponent[static_cast<std::size_t>(g)]));
    }
    observed.at.push_back(static_cast<Eigen::Index>(j));
    observed.values(count++) = value;
  }
  observed.values.conservativeResize(count);
  if (!selection.missing_allowed && observed.at.size() != rows.size()) {
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("site {}: feature {} is missing in {} of {} training rows; leave the feature "
                    "out, or let ComBat keep missing values (missing_allowed)",
                    cohort.site, name(), rows.size() - observed.at.size(), rows.size()));
  }
  return observed;
}

// values minus their mean, twice, so that the mean's own rounding does not stay in them.
Eigen::VectorXd Centred(Eigen::VectorXd values) {
  for (int pass = 0; pass < 2; ++pass) {
    double sum = 0;
    for (Eigen::Index j = 0; j < values.size(); ++j) sum += values(j);
    const double mean = values.size() == 0 ? 0 : sum / static_cast<double>(values.size());
    for (Eigen::Index j = 0; j < values.size(); ++j) values(j) -= mean;
  }
  return values;
}

double Dot(const Eigen::Ref<const Eigen::VectorXd>& a, const Eigen::Ref<const Eigen::VectorXd>& b) {
  double sum = 0;
  for (Eigen::Index j = 0; j < a.size(); ++j) sum += a(j) * b(j);
  return sum;
}

// row_count times the mean of the observed values: their plain sum when nothing is missing, and
// then the total does not depend on how rows are cut over sites.
Int128 WeightedSum(const Eigen::Ref<const Eigen::VectorXd>& values, Eigen::Index row_count) {
  ExactSum sum(kSumFormat.fraction_bits);
  for (Eigen::Index j = 0; j < values.size(); ++j) sum.Add(values(j));
  if (values.size() == row_count || values.size() == 0) return sum.units();
  const double total = static_cast<double>(sum.units()) * PowerOfTwo(-kSumFormat.fraction_bits);
  return ExactSum::Round(
      total * (static_cast<double>(row_count) / static_cast<double>(values.size())),
      kSumFormat.fraction_bits);
}

Eigen::VectorXd Pick(const Eigen::Ref<const Eigen::VectorXd>& values,
                     const std::vector<Eigen::Index>& at) {
  Eigen::VectorXd picked(static_cast<Eigen::Index>(at.size()));
  for (Eigen::Index j = 0; j < picked.size(); ++j)
    picked(j) = values(at[static_cast<std::size_t>(j)]);
  return picked;
}

// Sums over covariates for one set of rows, in the covariates' binary units.
struct CovariateSums {
  std::vector<Int128> sum;   // [p]
  Eigen::VectorXd products;  // [p(p+1)/2] centred, upper triangle by columns
  Eigen::MatrixXd centred;   // [m x p]
};

CovariateSums SumCovariates(const Eigen::MatrixXd& x, const std::vector<Eigen::Index>& at,
                            const Selection& selection) {
  CovariateSums sums;
  const Eigen::Index p = x.cols();
  sums.centred.resize(static_cast<Eigen::Index>(at.size()), p);
  sums.products.resize(selection.pair_count());
  Eigen::Index pair = 0;
  for (Eigen::Index k = 0; k < p; ++k) {
    const Eigen::VectorXd column = Pick(x.col(k), at);
    sums.sum.push_back(WeightedSum(column, x.rows()));
    sums.centred.col(k) = Centred(column);
    for (Eigen::Index l = 0; l <= k; ++l) {
      sums.products(pair++) = Dot(sums.centred.col(l), sums.centred.col(k));
    }
  }
  return sums;
}

Result<std::vector<BlockLayout>> MomentsLayout(const Query& query) {
  const auto selection = internal::ReadSelection(query);
  if (!selection) return tl::unexpected<Error>(selection.error());
  const Eigen::Index features = selection->feature_count(), p = selection->covariate_count();
  std::vector<BlockLayout> layout = {{"rows", 1, 1, kCountFormat},
                                     {"observed", features, 1, kCountFormat},
                                     {"sites_without_spread", features, 1, kCountFormat},
                                     {"sum_y", features, 1, kSumFormat}};
  if (p > 0) {
    layout.push_back({"sum_x", p, selection->width(), kSumFormat});
    layout.push_back({"between_x", p, 1, kSumFormat});
    layout.push_back({"scatter_xx", selection->pair_count(), selection->width(), kSumFormat});
    layout.push_back({"scatter_xy", p, features, kSumFormat});
  }
  return layout;
}

// Cross-products of p covariates with themselves and with each feature: p equations a feature. They
// are the same for every pattern of sites and folds that keeps these covariates, so all share one
// point.
Result<Disclosure> MomentsDisclosure(const Query& query) {
  const auto selection = internal::ReadSelection(query);
  if (!selection) return tl::unexpected<Error>(selection.error());
  Disclosure disclosure;
  disclosure.curvature_columns = selection->covariate_count();
  if (disclosure.curvature_columns > 0) {
    ByteWriter point;
    point.Text(internal::kMomentsStep);
    for (const int covariate : selection->covariates) {
      point.U32(static_cast<std::uint32_t>(covariate));
    }
    disclosure.curvature_point = Sha256(point.bytes());
  }
  disclosure.rows_of_sum = selection->rows;
  return disclosure;
}

Result<Answer> AnswerMoments(const Context& context, const Derived&, const Query& query) {
  const auto selection = internal::ReadSelection(query);
  if (!selection) return tl::unexpected<Error>(selection.error());
  const Cohort& cohort = context.cohort;
  CONSILIUM_TRY(CheckColumns(cohort, selection->columns, selection->covariates));
  const auto rows = TrainingRowsOf(context, query);
  if (!rows) return tl::unexpected<Error>(rows.error());
  auto x = CovariatesOf(cohort, *rows, selection->covariates);
  if (!x) return tl::unexpected<Error>(x.error());
  const Eigen::Index n = x->rows(), p = x->cols(), features = selection->feature_count();
  for (Eigen::Index k = 0; k < p; ++k) {
    const auto at = static_cast<std::size_t>(k);
    x->col(k) *= PowerOfTwo(-selection->covariate_exponent[at]);
    if ((x->col(k).array().abs() > 1).any()) {
      const auto column = static_cast<std::size_t>(selection->covariates[at]);
      return Fail(
          ErrorCode::kOutOfRange,
          fmt::format("site {}: covariate {} has a value beyond its public bound 2^{}; raise the "
                      "bound in the study",
                      cohort.site, cohort.covariate_names[column],
                      selection->covariate_exponent[at]));
    }
  }
  std::vector<Eigen::Index> everything(rows->size());
  for (std::size_t j = 0; j < everything.size(); ++j) everything[j] = static_cast<Eigen::Index>(j);
  const CovariateSums of_all = SumCovariates(*x, everything, *selection);

  Eigen::MatrixXd observed_rows(features, 1), no_spread(features, 1), scatter_xy(p, features);
  Eigen::MatrixXd scatter_xx(selection->pair_count(), selection->width());
  std::vector<Int128> sum_y, sum_x;
  if (!selection->missing_allowed && p > 0) {
    scatter_xx.col(0) = of_all.products;
    sum_x = of_all.sum;
  }
  for (Eigen::Index g = 0; g < features; ++g) {
    auto observed = ObservedOf(cohort, *rows, *selection, g);
    if (!observed) return tl::unexpected<Error>(observed.error());
    observed_rows(g, 0) = static_cast<double>(observed->at.size());
    no_spread(g, 0) = HasNoSpread(observed->values) ? 1 : 0;
    observed->values *= PowerOfTwo(-selection->exponent[static_cast<std::size_t>(g)]);
    sum_y.push_back(WeightedSum(observed->values, n));
    if (p == 0) continue;
    const bool complete = observed->at.size() == rows->size();
    const CovariateSums of_some =
        complete ? CovariateSums{} : SumCovariates(*x, observed->at, *selection);
    const CovariateSums& sums = complete ? of_all : of_some;
    if (selection->missing_allowed) {
      scatter_xx.col(g) = sums.products;
      sum_x.insert(sum_x.end(), sums.sum.begin(), sums.sum.end());
    }
    const Eigen::VectorXd y = Centred(std::move(observed->values));
    for (Eigen::Index k = 0; k < p; ++k) scatter_xy(k, g) = Dot(sums.centred.col(k), y);
  }

  Answer answer;
  answer.blocks.push_back({"rows", Eigen::MatrixXd::Constant(1, 1, static_cast<double>(n))});
  answer.blocks.push_back({"observed", std::move(observed_rows)});
  answer.blocks.push_back({"sites_without_spread", std::move(no_spread)});
  answer.blocks.push_back({"sum_y", std::move(sum_y)});
  if (p > 0) {
    Eigen::MatrixXd between(p, 1);
    for (Eigen::Index k = 0; k < p; ++k) {
      const double sum = static_cast<double>(of_all.sum[static_cast<std::size_t>(k)]) *
                         PowerOfTwo(-kSumFormat.fraction_bits);
      between(k, 0) = sum * sum / static_cast<double>(n);
    }
    answer.blocks.push_back({"sum_x", std::move(sum_x)});
    answer.blocks.push_back({"between_x", std::move(between)});
    answer.blocks.push_back({"scatter_xx", std::move(scatter_xx)});
    answer.blocks.push_back({"scatter_xy", std::move(scatter_xy)});
  }
  return answer;
}

Result<std::vector<BlockLayout>> ResidualsLayout(const Query& query) {
  const auto selection = internal::ReadSelection(query);
  if (!selection) return tl::unexpected<Error>(selection.error());
  return std::vector<BlockLayout>{{"sum_residual", selection->feature_count(), 1, kSumFormat},
                                  {"squares", selection->feature_count(), 1, kSumFormat}};
}

Result<Answer> AnswerResiduals(const Context& context, const Derived&, const Query& query) {
  const auto inputs = internal::ReadResiduals(query);
  if (!inputs) return tl::unexpected<Error>(inputs.error());
  const Cohort& cohort = context.cohort;
  const Selection& selection = inputs->selection;
  CONSILIUM_TRY(CheckColumns(cohort, selection.columns, selection.covariates));
  const auto rows = TrainingRowsOf(context, query);
  if (!rows) return tl::unexpected<Error>(rows.error());
  const auto x = CovariatesOf(cohort, *rows, selection.covariates);
  if (!x) return tl::unexpected<Error>(x.error());
  std::vector<Int128> sums;
  Eigen::MatrixXd squares(selection.feature_count(), 1);
  for (Eigen::Index g = 0; g < selection.feature_count(); ++g) {
    auto observed = ObservedOf(cohort, *rows, selection, g);
    if (!observed) return tl::unexpected<Error>(observed.error());
    const double unit = PowerOfTwo(-selection.exponent[static_cast<std::size_t>(g)]);
    Eigen::VectorXd& residual = observed->values;
    for (Eigen::Index j = 0; j < residual.size(); ++j) {
      const Eigen::Index row = observed->at[static_cast<std::size_t>(j)];
      double effect = 0;
      for (Eigen::Index k = 0; k < x->cols(); ++k) effect += (*x)(row, k) * inputs->beta(k, g);
      residual(j) = ((residual(j) - inputs->alpha(g)) - effect) * unit;
    }
    if (!(residual.array().abs() < kResidualUnitsMax).all()) {
      const auto column = static_cast<std::size_t>(selection.columns[static_cast<std::size_t>(g)]);
      return Fail(
          ErrorCode::kOutOfRange,
          fmt::format("site {}: feature {}: residuals are far beyond the feature's own range; a "
                      "covariate hardly varies inside the sites but differs between them. Remove "
                      "that covariate from the preserved ones",
                      cohort.site, cohort.feature_names[column]));
    }
    sums.push_back(WeightedSum(residual, x->rows()));
    const Eigen::VectorXd centred = Centred(std::move(residual));
    squares(g, 0) = Dot(centred, centred);
  }
  Answer answer;
  answer.blocks.push_back({"sum_residual", std::move(sums)});
  answer.blocks.push_back({"squares", std::move(squares)});
  return answer;
}

// Some columns of a matrix.
Eigen::MatrixXd Columns(const Eigen::MatrixXd& from, const std::vector<int>& columns) {
  Eigen::MatrixXd selected(from.rows(), static_cast<Eigen::Index>(columns.size()));
  for (Eigen::Index c = 0; c < selected.cols(); ++c) {
    selected.col(c) = from.col(columns[static_cast<std::size_t>(c)]);
  }
  return selected;
}

Result<std::shared_ptr<const DerivedValue>> DeriveHarmonized(const Context& context, const Derived&,
                                                             const Query& query) {
  const auto inputs = internal::ReadApply(query);
  if (!inputs) return tl::unexpected<Error>(inputs.error());
  const Cohort& cohort = context.cohort;
  CONSILIUM_TRY(CheckColumns(cohort, inputs->columns, inputs->covariates));
  auto harmonized = std::make_shared<HarmonizedFeatures>();
  harmonized->values = Columns(cohort.features, inputs->columns);
  harmonized->adjusted = inputs->positions;
  const bool member = context.IsMember(query.scope);
  harmonized->application = member ? Application::kTrainingMember : Application::kPassThrough;
  if (inputs->positions.empty()) return harmonized;

  const Eigen::MatrixXd features = Columns(harmonized->values, inputs->positions);
  const Eigen::MatrixXd covariates = Columns(cohort.covariates, inputs->covariates);
  Eigen::MatrixXd adjusted;
  if (member) {
    const auto rows = TrainingRowsOf(context, query);
    if (!rows) return tl::unexpected<Error>(rows.error());
    const Eigen::MatrixXd all = Standardize(features, covariates, inputs->model);
    Eigen::MatrixXd z(static_cast<Eigen::Index>(rows->size()), all.cols());
    for (Eigen::Index j = 0; j < z.rows(); ++j)
      z.row(j) = all.row((*rows)[static_cast<std::size_t>(j)]);
    auto estimates = Shrink(Summarize(z), inputs->options.bayes);
    if (!estimates) {
      return tl::unexpected<Error>(
          Within(fmt::format("site {}", cohort.site), std::move(estimates).error()));
    }
    harmonized->estimates = std::move(*estimates);
    adjusted = Adjust(features, covariates, inputs->model, harmonized->estimates.gamma_star,
                      harmonized->estimates.delta_star);
  } else {
    auto frozen = ApplyFrozen(features, covariates, inputs->model, inputs->options);
    if (!frozen) {
      return tl::unexpected<Error>(
          Within(fmt::format("site {}", cohort.site), std::move(frozen).error()));
    }
    harmonized->application = frozen->application;
    harmonized->estimates = std::move(frozen->estimates);
    for (const Eigen::Index g : frozen->location_only) {
      harmonized->location_only.push_back(inputs->positions[static_cast<std::size_t>(g)]);
    }
    adjusted = std::move(frozen->adjusted);
  }
  for (Eigen::Index g = 0; g < adjusted.cols(); ++g) {
    harmonized->values.col(inputs->positions[static_cast<std::size_t>(g)]) = adjusted.col(g);
  }
  return harmonized;
}

Result<std::vector<BlockLayout>> ApplyLayout(const Query& query) {
  const auto inputs = internal::ReadApply(query);
  if (!inputs) return tl::unexpected<Error>(inputs.error());
  return std::vector<BlockLayout>{{"rows", 1, 1, kCountFormat}};
}

// How many rows train on harmonized features: known since the first round, so nothing new.
Result<Answer> AnswerApply(const Context& context, const Derived& derived, const Query& query) {
  const auto* harmonized = derived.Find<HarmonizedFeatures>(query.scope.fit, federation::kFeatures);
  if (harmonized == nullptr) {
    return Fail(ErrorCode::kInternal,
                fmt::format("site {}: the harmonized features of fit {} are gone",
                            context.cohort.site, query.scope.fit));
  }
  const auto rows = static_cast<double>(context.Rows(query.scope).rows.size());
  Answer answer;
  answer.blocks.push_back({"rows", Eigen::MatrixXd::Constant(1, 1, rows)});
  return answer;
}

}  // namespace

void RegisterCombatSteps(federation::StepRegistry& registry) {
  federation::Step moments;
  moments.name = internal::kMomentsStep;
  moments.layout = MomentsLayout;
  moments.disclosure = MomentsDisclosure;
  moments.answer = AnswerMoments;
  registry.Add(std::move(moments));

  registry.AddSum(internal::kResidualsStep, ResidualsLayout, AnswerResiduals);

  federation::Step apply;
  apply.name = internal::kApplyStep;
  apply.layout = ApplyLayout;
  apply.derived_name = federation::kFeatures;
  apply.derive = DeriveHarmonized;
  apply.answer = AnswerApply;
  registry.Add(std::move(apply));
}

}  // namespace consilium::harmonization
