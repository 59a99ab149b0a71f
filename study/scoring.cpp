#include "study/scoring.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "base/portable_math.h"
#include "harmonization/combat_steps.h"
#include "learning/moments.h"

namespace consilium::study {
namespace {

using federation::Block;
using federation::Context;
using federation::Derived;
using federation::Disclosure;
using federation::Query;
using federation::Release;
using federation::Scope;
using federation::Sums;
using federation::Task;
using federation::Total;

constexpr double kNotTold = std::numeric_limits<double>::quiet_NaN();

// A boundary between groups of risk, to the bit the threshold of a grid of hundredths: both cut the
// rows at the same place, so that the minimum cell keeps both.
double Tenth(int number) { return number * 10 / 100.0; }

Block Column(std::string name, const std::vector<double>& values) {
  return {std::move(name), Eigen::Map<const Eigen::MatrixXd>(
                               values.data(), static_cast<Eigen::Index>(values.size()), 1)};
}

// ---- flow
// -------------------------------------------------------------------------------------------

Result<Release> FlowRelease(const Context& context, const Derived&, const Query&) {
  const std::vector<std::string>& reasons = FlowReasons();
  Eigen::MatrixXd flow = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(reasons.size()), 1);
  for (const federation::FlowStep& step : context.cohort.flow) {
    const auto found = std::find(reasons.begin(), reasons.end(), step.reason);
    if (found == reasons.end()) {
      return Fail(ErrorCode::kInternal,
                  fmt::format("site {}: the flow has a reason outside the vocabulary: '{}'",
                              context.cohort.site, step.reason));
    }
    flow(found - reasons.begin(), 0) += static_cast<double>(step.rows);
  }
  const double events = context.cohort.outcome.sum();
  Eigen::MatrixXd counts(1, 2);
  counts << events, static_cast<double>(context.cohort.row_count()) - events;
  return Release{{{"flow", flow}, {"counts", counts}}};
}

// ---- scoring
// ----------------------------------------------------------------------------------------

struct ScoreInputs {
  std::vector<int> columns;
  const Eigen::MatrixXd* coefficients = nullptr;
  std::vector<double> thresholds;  // the pre-registered first, then the grid
  bool harmonized = false;
};

Result<ScoreInputs> ReadScore(const Query& query, Eigen::Index column_bound) {
  ScoreInputs inputs;
  auto columns = learning::ReadIndices(query, "columns", column_bound);
  CONSILIUM_TRY(columns);
  inputs.columns = std::move(*columns);
  const auto coefficients = learning::ReadInput(
      query, "coefficients", static_cast<Eigen::Index>(inputs.columns.size()) + 1, 1);
  CONSILIUM_TRY(coefficients);
  if (!(*coefficients)->allFinite())
    return Fail(ErrorCode::kInvalidArgument, "study.score: a coefficient is not finite");
  inputs.coefficients = *coefficients;
  const auto thresholds = learning::ReadInput(query, "thresholds", -1, 1);
  CONSILIUM_TRY(thresholds);
  for (Eigen::Index i = 0; i < (*thresholds)->rows(); ++i) {
    const double t = (**thresholds)(i, 0);
    if (!(t > 0 && t < 1))
      return Fail(ErrorCode::kInvalidArgument, "study.score: a threshold is not inside (0, 1)");
    inputs.thresholds.push_back(t);
  }
  inputs.harmonized = federation::Find(query.inputs, "var_pooled") != nullptr;
  return inputs;
}

// Rows, events and the sum of the predicted risks by tenths of risk, [0, 0.1), [0.1, 0.2), ...; a
// tenth without rows is left out. The gate adds neighbours together up to the minimum cell.
Eigen::MatrixXd CalibrationGroups(const std::vector<double>& probabilities,
                                  const std::vector<double>& outcome) {
  Eigen::MatrixXd tenths = Eigen::MatrixXd::Zero(10, 3);
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    Eigen::Index at = 0;
    while (at < 9 && probabilities[i] >= Tenth(static_cast<int>(at) + 1)) ++at;
    tenths.row(at) += Eigen::RowVector3d(1, outcome[i], probabilities[i]);
  }
  std::vector<Eigen::Index> held;
  for (Eigen::Index g = 0; g < tenths.rows(); ++g) {
    if (tenths(g, 0) > 0) held.push_back(g);
  }
  return tenths(held, Eigen::all);
}

Release ReleaseOf(const std::vector<double>& eta, const std::vector<double>& outcome,
                  const ScoreInputs& inputs) {
  const auto n = static_cast<double>(eta.size());
  double events = 0;
  for (const double y : outcome) events += y;
  Release release;
  release.blocks.push_back({"n", Eigen::MatrixXd::Constant(1, 1, n)});
  Eigen::MatrixXd counts(1, 2);
  counts << events, n - events;
  release.blocks.push_back({"counts", counts});
  const auto components = learning::ComputeAuc(eta, outcome);
  CONSILIUM_CHECK(components.has_value(), "finite scores have an AUC");
  release.blocks.push_back(Column("auc", {components->u, components->s10, components->s01}));
  std::vector<double> figures(10, kNotTold);
  if (const auto fit = learning::Calibrate(eta, outcome); fit.has_value()) {
    figures[0] = fit->expected;
    figures[1] = fit->brier;
    figures[2] = fit->brier_max;
    const auto put = [&](std::size_t at, const std::optional<learning::Coefficient>& coefficient) {
      if (!coefficient) return;
      figures[at] = coefficient->value;
      figures[at + 1] = coefficient->se;
    };
    put(3, fit->in_the_large);
    put(5, fit->intercept);
    put(7, fit->slope);
  }
  release.blocks.push_back(Column("calibration", figures));
  std::vector<double> probabilities;
  for (const double one : eta) probabilities.push_back(Expit(one));
  const auto at_thresholds = learning::CountAtThresholds(probabilities, outcome, inputs.thresholds);
  if (at_thresholds.has_value()) {
    Eigen::MatrixXd grid(static_cast<Eigen::Index>(at_thresholds->size()), 3);
    for (std::size_t i = 0; i < at_thresholds->size(); ++i) {
      const auto& one = (*at_thresholds)[i];
      grid.row(static_cast<Eigen::Index>(i)) << one.threshold,
          static_cast<double>(one.false_positives), static_cast<double>(one.true_positives);
    }
    release.blocks.push_back({"net_benefit_counts", grid});
  }
  release.blocks.push_back({"calibration_groups", CalibrationGroups(probabilities, outcome)});
  const auto roc = learning::MergedRoc(probabilities, outcome, 1);
  CONSILIUM_CHECK(roc.has_value(), "finite scores have a ROC curve");
  Eigen::MatrixXd curve(static_cast<Eigen::Index>(roc->size()), 2);
  for (std::size_t i = 0; i < roc->size(); ++i) {
    curve.row(static_cast<Eigen::Index>(i)) << static_cast<double>((*roc)[i].nonevents),
        static_cast<double>((*roc)[i].events);
  }
  release.blocks.push_back({"roc", curve});
  return release;
}

// The step needs the site's columns as ComBat left them; `combat` holds combat.apply.
Result<Release> ScoreRelease(const federation::Step& combat_apply, const Context& context,
                             const Query& query) {
  const auto inputs = ReadScore(query, context.cohort.features.cols());
  CONSILIUM_TRY(inputs);
  Eigen::MatrixXd values(context.cohort.row_count(),
                         static_cast<Eigen::Index>(inputs->columns.size()));
  for (std::size_t j = 0; j < inputs->columns.size(); ++j) {
    values.col(static_cast<Eigen::Index>(j)) = context.cohort.features.col(inputs->columns[j]);
  }
  // A row that lacks a cell which the model uses cannot be scored, and is counted.
  std::vector<Eigen::Index> scored;
  for (Eigen::Index i = 0; i < values.rows(); ++i) {
    bool complete = true;
    for (Eigen::Index j = 0; j < values.cols(); ++j) {
      const bool used = inputs->harmonized || (*inputs->coefficients)(j + 1, 0) != 0;
      if (used && !std::isfinite(values(i, j))) complete = false;
    }
    if (complete) scored.push_back(i);
  }
  if (inputs->harmonized) {
    // The frozen model, applied by a center that is no member of the fit: no outcome is read.
    federation::Cohort complete_rows;
    complete_rows.site = context.cohort.site;
    complete_rows.feature_names = context.cohort.feature_names;
    complete_rows.covariate_names = context.cohort.covariate_names;
    complete_rows.features = context.cohort.features(scored, Eigen::all);
    complete_rows.covariates = context.cohort.covariates(scored, Eigen::all);
    complete_rows.outcome = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(scored.size()));
    complete_rows.fold.assign(scored.size(), 1);
    Query apply = query;
    apply.step = combat_apply.name;
    apply.scope.members.clear();
    const auto derived = combat_apply.derive(Context{complete_rows}, Derived(), apply);
    CONSILIUM_TRY(derived);
    const auto* matrix = dynamic_cast<const federation::FeatureMatrix*>(derived->get());
    CONSILIUM_CHECK(matrix != nullptr, "combat.apply derives features");
    for (std::size_t i = 0; i < scored.size(); ++i)
      values.row(scored[i]) = matrix->values.row(static_cast<Eigen::Index>(i));
  }
  std::vector<double> eta, outcome;
  for (const Eigen::Index i : scored) {
    double sum = (*inputs->coefficients)(0, 0);
    for (Eigen::Index j = 0; j < values.cols(); ++j) {
      const double slope = (*inputs->coefficients)(j + 1, 0);
      if (slope != 0) sum += slope * values(i, j);
    }
    eta.push_back(sum);
    outcome.push_back(context.cohort.outcome(i));
  }
  return ReleaseOf(eta, outcome, *inputs);
}

double Told(const Release& release, std::string_view name, Eigen::Index at) {
  const Eigen::MatrixXd* block = federation::Find(release.blocks, name);
  return block == nullptr || block->size() <= at ? kNotTold : block->data()[at];
}

std::optional<learning::Coefficient> ToldCoefficient(const Release& release, Eigen::Index at) {
  const double value = Told(release, "calibration", at), se = Told(release, "calibration", at + 1);
  if (std::isnan(value) || std::isnan(se)) return std::nullopt;
  return learning::Coefficient{value, se};
}

Score ReadRelease(const Release& release, const std::vector<double>& thresholds) {
  Score score;
  const double n = Told(release, "n", 0), events = Told(release, "counts", 0),
               nonevents = Told(release, "counts", 1);
  score.n = std::isnan(n) ? -1 : static_cast<std::int64_t>(n);
  score.withheld = std::isnan(events) || std::isnan(nonevents);
  if (score.withheld) return score;
  score.auc = {static_cast<std::int64_t>(events), static_cast<std::int64_t>(nonevents),
               Told(release, "auc", 0), Told(release, "auc", 1), Told(release, "auc", 2)};
  learning::Calibration calibration;
  calibration.rows = score.n;
  calibration.events = score.auc.events;
  calibration.expected = Told(release, "calibration", 0);
  calibration.brier = Told(release, "calibration", 1);
  calibration.brier_max = Told(release, "calibration", 2);
  calibration.in_the_large = ToldCoefficient(release, 3);
  calibration.intercept = ToldCoefficient(release, 5);
  calibration.slope = ToldCoefficient(release, 7);
  if (!std::isnan(calibration.expected)) score.calibration = calibration;
  if (const Eigen::MatrixXd* groups = federation::Find(release.blocks, "calibration_groups");
      groups != nullptr && groups->cols() == 3) {
    for (Eigen::Index g = 0; g < groups->rows(); ++g) {
      if (!((*groups)(g, 0) > 0)) continue;
      score.groups.push_back({static_cast<std::int64_t>((*groups)(g, 0)),
                              static_cast<std::int64_t>((*groups)(g, 1)),
                              (*groups)(g, 2) / (*groups)(g, 0)});
    }
  }
  if (const Eigen::MatrixXd* grid = federation::Find(release.blocks, "net_benefit_counts");
      grid != nullptr && grid->cols() == 3) {
    for (Eigen::Index i = 0; i < grid->rows(); ++i) {
      if (std::isnan((*grid)(i, 1)) || std::isnan((*grid)(i, 2))) continue;
      const learning::ThresholdCounts one{(*grid)(i, 0), score.n, score.auc.events,
                                          static_cast<std::int64_t>((*grid)(i, 2)),
                                          static_cast<std::int64_t>((*grid)(i, 1))};
      if (i < static_cast<Eigen::Index>(thresholds.size())) score.thresholds.push_back(one);
      score.curve.push_back(one);
    }
    std::stable_sort(score.curve.begin(), score.curve.end(),
                     [](const auto& a, const auto& b) { return a.threshold < b.threshold; });
    score.curve.erase(
        std::unique(score.curve.begin(), score.curve.end(),
                    [](const auto& a, const auto& b) { return a.threshold == b.threshold; }),
        score.curve.end());
  }
  if (const Eigen::MatrixXd* curve = federation::Find(release.blocks, "roc");
      curve != nullptr && curve->cols() == 2) {
    for (Eigen::Index i = 0; i < curve->rows(); ++i) {
      score.roc.push_back(
          {static_cast<std::int64_t>((*curve)(i, 1)), static_cast<std::int64_t>((*curve)(i, 0))});
    }
  }
  return score;
}

}  // namespace

const std::vector<std::string>& FlowReasons() {
  static const std::vector<std::string> kReasons = {"found",
                                                    "excluded: other center",
                                                    "excluded: id missing",
                                                    "excluded: repeated id",
                                                    "excluded: no clinical record",
                                                    "excluded: patient missing",
                                                    "excluded: outcome missing",
                                                    "excluded: covariate missing",
                                                    "excluded: all features missing",
                                                    "used"};
  return kReasons;
}

void RegisterScoringSteps(federation::StepRegistry& registry) {
  federation::Step flow;
  flow.name = "study.flow";
  flow.kind = federation::StepKind::kRelease;
  flow.release = FlowRelease;
  registry.Add(std::move(flow));

  auto combat = std::make_shared<federation::StepRegistry>();
  harmonization::RegisterCombatSteps(*combat);
  federation::Step score;
  score.name = "study.score";
  score.kind = federation::StepKind::kRelease;
  score.disclosure = [](const Query&) -> Result<Disclosure> {
    Disclosure disclosure;
    disclosure.scores_a_model = true;
    return disclosure;
  };
  score.release = [combat](const Context& context, const Derived&, const Query& query) {
    return ScoreRelease(*combat->Find("combat.apply"), context, query);
  };
  registry.Add(std::move(score));
}

Task<Flow> AskFlow(Sums& sums, std::string site) {
  Query query{"study.flow", Scope{"flow", {site}, 0}, {}};
  auto asked = sums.Of(std::move(query));
  const Total total = co_await asked;
  const auto released = total.releases.find(site);
  const Eigen::MatrixXd* counts = released == total.releases.end()
                                      ? nullptr
                                      : federation::Find(released->second.blocks, "flow");
  Flow flow;
  if (counts == nullptr || counts->rows() != static_cast<Eigen::Index>(FlowReasons().size())) {
    co_return Fail(
        ErrorCode::kDataLoss,
        fmt::format("site {}: released no flow counts; expected one count a reason", site));
  }
  for (std::size_t i = 0; i < FlowReasons().size(); ++i) {
    const double rows = (*counts)(static_cast<Eigen::Index>(i), 0);
    const bool always = i == 0 || i + 1 == FlowReasons().size();
    if (rows == 0 && !always) continue;
    flow.steps.push_back(
        {FlowReasons()[i], std::isnan(rows) ? -1 : static_cast<std::int64_t>(rows)});
  }
  const double events = Told(released->second, "counts", 0),
               nonevents = Told(released->second, "counts", 1);
  flow.withheld = std::isnan(events) || std::isnan(nonevents);
  flow.events = flow.withheld ? -1 : static_cast<std::int64_t>(events);
  flow.nonevents = flow.withheld ? -1 : static_cast<std::int64_t>(nonevents);
  co_return flow;
}

Task<std::optional<Score>> ScoreAt(Sums& sums, std::string site, FrozenModel model,
                                   std::vector<double> thresholds, double range_low,
                                   double range_high) {
  Query query{"study.score", Scope{model.name, {site}, 0}, {}};
  if (model.combat) {
    query.inputs = harmonization::ApplyQuery(*model.combat).inputs;
  } else {
    query.inputs.push_back(learning::IndexBlock("columns", model.columns));
  }
  query.inputs.push_back({"coefficients", model.coefficients});
  // First come, first kept above the minimum cell: what was registered, then the tenths, between
  // which the calibration groups lie.
  std::vector<double> grid = thresholds;
  const auto add = [&](double t) {
    if (t >= range_low && t <= range_high && std::find(grid.begin(), grid.end(), t) == grid.end())
      grid.push_back(t);
  };
  for (int number = 1; number <= 9; ++number) add(Tenth(number));
  for (int percent = 1; percent <= 99; ++percent) add(percent / 100.0);
  query.inputs.push_back(Column("thresholds", grid));
  auto asked = sums.Of(std::move(query));
  const Total total = co_await asked;
  std::optional<Score> score;
  if (const auto released = total.releases.find(site); released != total.releases.end()) {
    score = ReadRelease(released->second, thresholds);
  }
  co_return score;
}

}  // namespace consilium::study
