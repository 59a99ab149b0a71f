#include "study/program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "harmonization/combat_fit.h"
#include "harmonization/combat_steps.h"
#include "learning/auc.h"
#include "learning/degradation.h"
#include "learning/lasso.h"
#include "learning/moments.h"
#include "learning/verdict.h"
#include "study/scoring.h"
#include "study/study_file.h"

namespace consilium::study {
namespace {

using federation::Scope;
using federation::Sums;
using federation::Task;
using federation::WhenAll;
using learning::LassoFitInput;
using learning::Moments;

// A column that is constant up to rounding carries nothing: its sd against its size.
constexpr double kConstantShare = 1e-13;

std::string Join(const std::vector<std::string>& names, std::string_view between) {
  return fmt::format("{}", fmt::join(names, between));
}

int Position(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<int>(std::find(names.begin(), names.end(), name) - names.begin());
}

std::string_view Word(LambdaRule rule) {
  return rule == LambdaRule::kMin ? "lambda.min" : "lambda.1se";
}

// ---- columns
// ----------------------------------------------------------------------------------------

// The columns of one feature set that one pattern's training rows can use.
struct Columns {
  std::vector<int> kept;             // positions among the step columns
  std::vector<int> exponent;         // of the kept ones
  std::vector<int> exponent_of_all;  // of every step column that was asked (others 0)
  Moments moments;                   // of the kept ones over all training rows
  learning::Extent extent;
  std::vector<std::pair<std::string, std::string>> dropped;  // column, reason
};

template <typename T>
std::vector<T> Select(const std::vector<T>& values, const std::vector<int>& which) {
  std::vector<T> selected;
  for (const int i : which) selected.push_back(values[static_cast<std::size_t>(i)]);
  return selected;
}

Moments Select(const Moments& moments, const std::vector<int>& which) {
  Moments selected;
  selected.rows = moments.rows;
  selected.mean = moments.mean(which);
  selected.sd = moments.sd(which);
  return selected;
}

// The missing rule, the constant rule and the duplicate rule, on the pattern's own training rows.
Task<Columns> ChooseColumns(Sums& sums, const Study& study, Scope scope, std::vector<int> wanted,
                            std::vector<int> preserved) {
  const std::vector<std::string> names = StepColumns(study);
  std::vector<int> asked = wanted;
  for (const int column : preserved) {
    if (std::find(asked.begin(), asked.end(), column) == asked.end()) asked.push_back(column);
  }
  Columns columns;
  auto measuring_extent = learning::MeasureExtent(sums, scope, asked, study.folds.count);
  auto extent = co_await measuring_extent;
  if (!extent) co_return tl::unexpected<Error>(extent.error());
  columns.extent = std::move(*extent);
  columns.exponent_of_all.assign(names.size(), 0);
  std::vector<int> complete, exponent;
  for (std::size_t k = 0; k < asked.size(); ++k) {
    columns.exponent_of_all[static_cast<std::size_t>(asked[k])] = columns.extent.exponent[k];
    if (k >= wanted.size()) continue;
    if (columns.extent.missing(static_cast<Eigen::Index>(k)) > 0) {
      columns.dropped.emplace_back(names[static_cast<std::size_t>(asked[k])], "missing");
      continue;
    }
    complete.push_back(asked[k]);
    exponent.push_back(columns.extent.exponent[k]);
  }
  if (complete.empty()) {
    co_return Fail(ErrorCode::kFailedPrecondition,
                   fmt::format("fit '{}': every column has missing cells in the training rows; "
                               "expected at least one complete column; "
                               "exclude rows with missing cells in the cohort files",
                               scope.fit));
  }
  auto measuring = learning::MeasureMoments(sums, scope, complete, exponent);
  auto moments = co_await measuring;
  if (!moments) co_return tl::unexpected<Error>(moments.error());
  std::vector<int> varying;
  for (std::size_t k = 0; k < complete.size(); ++k) {
    const auto at = static_cast<Eigen::Index>(k);
    if (moments->sd(at) <= kConstantShare * std::fabs(moments->mean(at))) {
      columns.dropped.emplace_back(names[static_cast<std::size_t>(complete[k])], "constant");
    } else {
      varying.push_back(static_cast<int>(k));
    }
  }
  if (varying.empty()) {
    co_return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("fit '{}': every column is constant in the training rows", scope.fit));
  }
  complete = Select(complete, varying);
  exponent = Select(exponent, varying);
  Moments kept_moments = Select(*moments, varying);
  auto finding = learning::FindDuplicates(sums, scope, complete, kept_moments);
  const auto duplicates = co_await finding;
  if (!duplicates) co_return tl::unexpected<Error>(duplicates.error());
  std::vector<bool> is_duplicate(complete.size(), false);
  for (const learning::Duplicate& one : *duplicates) {
    is_duplicate[static_cast<std::size_t>(one.column)] = true;
    columns.dropped.emplace_back(
        names[static_cast<std::size_t>(complete[static_cast<std::size_t>(one.column)])],
        "duplicate of " +
            names[static_cast<std::size_t>(complete[static_cast<std::size_t>(one.first)])]);
  }
  std::vector<int> unique;
  for (std::size_t k = 0; k < complete.size(); ++k) {
    if (!is_duplicate[k]) unique.push_back(static_cast<int>(k));
  }
  columns.kept = Select(complete, unique);
  columns.exponent = Select(exponent, unique);
  columns.moments = Select(kept_moments, unique);
  co_return columns;
}

// ---- one training set
// -------------------------------------------------------------------------------

struct TrainingSet {
  LassoFitInput input;
  std::optional<harmonization::CombatModel> combat;
};

// A power of two above every harmonized value that is not absurd: |alpha| and 16 sd.
std::vector<int> HarmonizedExponent(const harmonization::CombatModel& model,
                                    const std::vector<int>& raw) {
  std::vector<int> exponent;
  for (std::size_t j = 0; j < raw.size(); ++j) {
    const auto at = static_cast<Eigen::Index>(j);
    const double reach = std::fabs(model.standardizing.alpha(at)) +
                         16 * std::sqrt(model.standardizing.var_pooled(at));
    exponent.push_back(std::max(raw[j], model.status[j] == harmonization::FeatureStatus::kAdjusted
                                            ? std::ilogb(reach) + 1
                                            : raw[j]));
  }
  return exponent;
}

struct HarmonizationPlan {
  bool combat = false;
  std::vector<int> preserved;     // positions within the variables' columns
  std::vector<int> pass_through;  // positions within the kept columns: clinical ones
};

Task<TrainingSet> PrepareTrainingSet(Sums& sums, const Study& study, const Columns& columns,
                                     HarmonizationPlan plan, Scope scope) {
  TrainingSet set;
  set.input.scope = scope;
  set.input.columns = columns.kept;
  set.input.events = columns.extent.events();
  double rows = columns.extent.rows();
  if (scope.left_out_fold > 0) {
    const auto fold = columns.extent.fold_counts.row(scope.left_out_fold - 1);
    set.input.events -= fold(1);
    set.input.left_out_rows = fold.sum();
    rows -= fold.sum();
  }
  std::vector<int> exponent = columns.exponent;
  if (plan.combat) {
    harmonization::CombatOptions options;
    options.scope = scope;
    options.columns = columns.kept;
    options.exponent = columns.exponent;
    options.pass_through = plan.pass_through;
    options.covariates = plan.preserved;
    for (const int covariate : plan.preserved) {
      options.covariate_exponent.push_back(
          columns
              .exponent_of_all[study.feature_columns.size() + static_cast<std::size_t>(covariate)]);
    }
    options.rows = rows;
    options.feature_names = Select(StepColumns(study), columns.kept);
    options.covariate_names = Select(CovariateColumns(study), plan.preserved);
    auto harmonizing = harmonization::HarmonizeWithCombat(sums, options);
    auto model = co_await harmonizing;
    if (!model) co_return tl::unexpected<Error>(model.error());
    exponent = HarmonizedExponent(*model, exponent);
    set.combat = std::move(*model);
  } else if (scope.left_out_fold == 0) {
    set.input.moments = columns.moments;  // measured when the columns were chosen
    co_return set;
  }
  auto measuring = learning::MeasureMoments(sums, scope, columns.kept, exponent);
  auto moments = co_await measuring;
  if (!moments) co_return tl::unexpected<Error>(moments.error());
  for (Eigen::Index j = 0; j < moments->sd.size(); ++j) {
    // Constant within this training set only: centred to zero, it never enters.
    if (moments->sd(j) <= kConstantShare * std::fabs(moments->mean(j))) moments->sd(j) = 1;
  }
  set.input.moments = std::move(*moments);
  co_return set;
}

// ---- one feature set x harmonization x pattern
// --------------------------------------------------------

struct ModelFit {
  std::string model;
  LambdaRule lambda_rule = LambdaRule::kMin;
  // Of a path without a lambda (LassoPath::unconverged) only path_ended is filled below.
  std::shared_ptr<const learning::LassoPath> path;
  int index = 0;
  learning::InternalAucSums internal;
  bool single_row_decides = false;  // of lambda.min
  Eigen::VectorXd coefficients;     // [1 + p] original scale
  std::string path_ended;           // why before its time; empty if the path ended by its rules

  [[nodiscard]] bool was_made() const { return !path->lambda.empty(); }
};

std::string PathEnded(const learning::LassoPath& path, const Model& model) {
  if (!path.unconverged) return {};
  const learning::Unconverged& at = *path.unconverged;
  return fmt::format(
      "path ended at lambda {} of {}: not converged to {} after {} rounds; KKT "
      "residual {:.2g} (fit '{}')",
      at.lambda + 1, model.lambda_count, model.kkt_tolerance, at.rounds, at.kkt_residual, at.fit);
}

struct Group {
  std::string features, harmonization;
  std::size_t pattern = 0;
  Columns columns;
  TrainingSet full;
  std::vector<ModelFit> fits;
};

struct PathKey {
  int count;
  double ratio, tolerance;
  bool stop;
  friend auto operator<=>(const PathKey&, const PathKey&) = default;
};

Task<int> FitGroup(Sums& sums, const Study& study, const Pattern& pattern,
                   const Harmonization& harmonization, Group& group) {
  const std::string name = FitName(group.features, group.harmonization, pattern);
  HarmonizationPlan plan;
  plan.combat = harmonization.method == "combat";
  const std::vector<std::string> covariates = CovariateColumns(study);
  for (const Variable& variable : study.variables) {
    if (std::find(harmonization.preserve.begin(), harmonization.preserve.end(), variable.name) ==
        harmonization.preserve.end())
      continue;
    for (const std::string& column : VariableColumns(variable))
      plan.preserved.push_back(Position(covariates, column));
  }
  for (std::size_t k = 0; k < group.columns.kept.size(); ++k) {
    if (group.columns.kept[k] >= static_cast<int>(study.feature_columns.size()))
      plan.pass_through.push_back(static_cast<int>(k));
  }
  std::vector<Task<TrainingSet>> tasks;
  for (int fold = 0; fold <= study.folds.count; ++fold) {
    Scope scope{fold == 0 ? name : fmt::format("{}/fold={}", name, fold), pattern.members, fold};
    tasks.push_back(PrepareTrainingSet(sums, study, group.columns, plan, std::move(scope)));
  }
  WhenAll<TrainingSet> preparing(std::move(tasks));
  std::vector<Result<TrainingSet>> sets = co_await preparing;
  std::vector<LassoFitInput> folds;
  for (std::size_t f = 0; f < sets.size(); ++f) {
    if (!sets[f]) co_return tl::unexpected<Error>(sets[f].error());
    if (f == 0) {
      group.full = std::move(*sets[f]);
    } else {
      folds.push_back(std::move(sets[f]->input));
    }
  }
  std::map<PathKey, std::shared_ptr<const learning::LassoPath>> paths;
  for (const Model& model : study.models) {
    if (std::find(model.feature_sets.begin(), model.feature_sets.end(), group.features) ==
        model.feature_sets.end())
      continue;
    const PathKey key{model.lambda_count, model.lambda_min_ratio, model.kkt_tolerance,
                      model.path_stop};
    if (!paths.contains(key)) {
      learning::LassoOptions options;
      options.lambda_count = model.lambda_count;
      options.lambda_min_ratio = model.lambda_min_ratio;
      options.kkt_tolerance = model.kkt_tolerance;
      options.path_stop = model.path_stop;
      options.strict_curvature = study.privacy.strict_curvature;
      auto fitting = learning::FitLassoPath(sums, group.full.input, folds, options);
      auto path = co_await fitting;
      if (!path) co_return tl::unexpected<Error>(path.error());
      paths[key] = std::make_shared<const learning::LassoPath>(std::move(*path));
    }
    ModelFit fit;
    fit.model = model.name;
    fit.lambda_rule = model.lambda_rule;
    fit.path = paths[key];
    fit.path_ended = PathEnded(*fit.path, model);
    if (!fit.was_made()) {
      group.fits.push_back(std::move(fit));
      continue;
    }
    fit.index = model.lambda_rule == LambdaRule::kMin ? fit.path->index_min : fit.path->index_1se;
    const auto at = static_cast<std::size_t>(fit.index);
    fit.coefficients = learning::OriginalScale(fit.path->full.points[at], group.full.input.moments);
    group.fits.push_back(std::move(fit));
  }
  for (ModelFit& fit : group.fits) {
    if (!fit.was_made()) continue;
    std::vector<learning::PathPoint> points;
    for (const learning::LassoFit& fold : fit.path->folds)
      points.push_back(fold.points[static_cast<std::size_t>(fit.index)]);
    auto measuring = learning::MeasureInternalAuc(sums, folds, points, name);
    auto internal = co_await measuring;
    if (!internal) co_return tl::unexpected<Error>(internal.error());
    fit.internal = std::move(*internal);
    if (fit.lambda_rule == LambdaRule::kMin) {
      auto counting = learning::CountDecidingRows(sums, folds, *fit.path, name);
      const auto deciding = co_await counting;
      if (!deciding) co_return tl::unexpected<Error>(deciding.error());
      fit.single_row_decides = *deciding > 0;
    }
  }
  co_return 0;
}

// One feature set on one pattern: its columns once, then every harmonization side by side.
Task<int> FitPattern(Sums& sums, const Study& study, const Pattern& pattern, const FeatureSet& set,
                     std::vector<Group*> groups) {
  const std::vector<std::string> names = StepColumns(study);
  std::vector<int> wanted, preserved;
  for (const std::string& column : FeatureSetColumns(study, set.name))
    wanted.push_back(Position(names, column));
  for (const Variable& variable : study.variables) {
    for (const Harmonization& one : study.harmonizations) {
      if (std::find(one.preserve.begin(), one.preserve.end(), variable.name) == one.preserve.end())
        continue;
      for (const std::string& column : VariableColumns(variable))
        preserved.push_back(Position(names, column));
    }
  }
  std::sort(preserved.begin(), preserved.end());
  preserved.erase(std::unique(preserved.begin(), preserved.end()), preserved.end());
  Scope scope{fmt::format("{}/columns/held out {}", set.name, Join(pattern.held_out, "+")),
              pattern.members, 0};
  auto choosing = ChooseColumns(sums, study, std::move(scope), wanted, preserved);
  const auto columns = co_await choosing;
  if (!columns) co_return tl::unexpected<Error>(columns.error());
  std::vector<Task<int>> tasks;
  for (Group* group : groups) {
    group->columns = *columns;
    const auto harmonization =
        std::find_if(study.harmonizations.begin(), study.harmonizations.end(),
                     [&](const Harmonization& one) { return one.name == group->harmonization; });
    tasks.push_back(FitGroup(sums, study, pattern, *harmonization, *group));
  }
  WhenAll<int> all(std::move(tasks));
  const std::vector<Result<int>> done = co_await all;
  for (const auto& one : done) {
    if (!one) co_return tl::unexpected<Error>(one.error());
  }
  co_return 0;
}

// ---- scoring and results
// ----------------------------------------------------------------------------

struct Scored {
  const Group* group = nullptr;
  const ModelFit* fit = nullptr;
  std::string held_out;
  std::optional<Score> score;
};

Task<int> ScoreOne(Sums& sums, const Study& study, Scored& scored) {
  FrozenModel model;
  model.name = fmt::format("{} of {}", scored.fit->model, scored.group->full.input.scope.fit);
  model.fit = scored.group->full.input.scope.fit;
  model.columns = scored.group->columns.kept;
  model.coefficients = scored.fit->coefficients;
  model.combat = scored.group->full.combat;
  auto asking = ScoreAt(sums, scored.held_out, std::move(model), study.thresholds.values,
                        study.thresholds.range_low, study.thresholds.range_high);
  auto score = co_await asking;
  if (!score) co_return tl::unexpected<Error>(score.error());
  scored.score = std::move(*score);
  co_return 0;
}

Task<int> FlowOne(Sums& sums, std::string site, SiteFlow& flow) {
  auto asking = AskFlow(sums, site);
  auto answer = co_await asking;
  if (!answer) co_return tl::unexpected<Error>(answer.error());
  flow.steps = std::move(answer->steps);
  co_return 0;
}

Interval From(const std::optional<learning::Interval>& interval) {
  return interval ? Interval{interval->low, interval->high} : Interval{};
}
Interval From(const learning::Interval& interval) { return {interval.low, interval.high}; }

Interval AroundCoefficient(const learning::Coefficient& coefficient) {
  return From(learning::WaldInterval(coefficient.value, coefficient.se * coefficient.se));
}

std::optional<learning::InternalAuc> InternalOf(const learning::InternalAucSums& sums) {
  if (!(sums.pairs > 0)) return std::nullopt;
  learning::InternalAuc internal;
  internal.value = sums.u / sums.pairs;
  if (sums.pairs_with_variance > 0) {
    internal.variance = sums.weighted_variance / (sums.pairs * sums.pairs);
    internal.interval = learning::LogitInterval(internal.value, *internal.variance);
  }
  return internal;
}

learning::ScoreHistogram HistogramOf(const Eigen::MatrixXd& counts) {
  learning::ScoreHistogram histogram;
  for (Eigen::Index b = 0; b < counts.rows(); ++b) {
    histogram.nonevents.push_back(static_cast<std::int64_t>(counts(b, 0)));
    histogram.events.push_back(static_cast<std::int64_t>(counts(b, 1)));
  }
  return histogram;
}

bool IsPrimary(const Study& study, const std::string& model, const std::string& features,
               const std::string& harmonization) {
  return study.primary && study.primary->model == model && study.primary->features == features &&
         study.primary->harmonization == harmonization;
}

class Assembler {
 public:
  Assembler(const Study& study, const std::vector<Pattern>& patterns,
            const std::vector<Group>& groups, const std::vector<Scored>& scored)
      : study_(study), patterns_(patterns), groups_(groups), scored_(scored) {}

  Result<Results> Assemble(std::map<std::string, SiteFlow> flow) {
    FillProvenance();
    results_.flow = std::move(flow);
    FillDisclosureSentences();
    for (const Model& model : study_.models) {
      for (const std::string& features : model.feature_sets) {
        for (const Harmonization& harmonization : study_.harmonizations) {
          CONSILIUM_TRY(FillVariant(model, features, harmonization.name));
        }
      }
    }
    FillFits();
    if (!study_.primary) {
      CONSILIUM_TRY(Judge({}));
    }
    return std::move(results_);
  }

 private:
  void FillProvenance() {
    Provenance& p = results_.provenance;
    p.study = study_.name;
    p.title = study_.title;
    p.study_digest = Hex(study_.digest);
    p.engine_version = kEngineVersion;
    p.roster = study_.sites;
    std::sort(p.roster.begin(), p.roster.end());
    p.seed = study_.seed;
    p.policy = study_.policy == Policy::kPublicData ? "public-data" : "private";
    p.design =
        study_.design == Design::kNamedHeldOut ? "named held-out centers" : "leave-one-center-out";
    p.outcome = study_.outcome;
    p.event = study_.event;
    if (study_.primary) {
      p.primary = fmt::format("{} / {} / {} / {}", study_.primary->model, study_.primary->features,
                              study_.primary->harmonization, Word(study_.primary->lambda_rule));
    }
    p.margin = study_.margin;
    p.auc_floor = study_.auc_floor;
    p.thresholds = study_.thresholds.values;
    p.folds = study_.folds.count;
    p.tuning = study_.tuning;
    p.min_cell = study_.privacy.min_cell;
    p.min_sites = study_.privacy.min_sites;
    p.curvature = study_.privacy.strict_curvature ? "strict" : "fast";
  }

  void FillDisclosureSentences() {
    if (study_.policy == Policy::kPublicData) {
      results_.disclosure_sentences.emplace_back(
          "The study's policy is public-data: sums of fewer sites than usual and small row-set "
          "differences were allowed, because the data is published.");
    }
    if (study_.design == Design::kLeaveOneCenterOut) {
      results_.disclosure_sentences.emplace_back(
          "Leave-one-center-out discloses each center's own sums: the totals with and without a "
          "center differ by them. These are moments, events by fold and missing cells by column, "
          "and such a count may be below the minimum cell. Every center consented to this.");
    }
    if (!study_.privacy.strict_curvature) {
      results_.disclosure_sentences.emplace_back(
          "Curvature was asked beyond 0.33 columns a row of the sum (fast), by explicit approval.");
    }
  }

  [[nodiscard]] std::string InstitutionOf(const std::string& site) const {
    const auto found = study_.institutions.find(site);
    return found == study_.institutions.end() ? site : found->second;
  }

  [[nodiscard]] bool OtherInstitution(const Pattern& pattern, const std::string& held_out) const {
    for (const std::string& member : pattern.members) {
      if (InstitutionOf(member) == InstitutionOf(held_out)) return false;
    }
    return true;
  }

  Result<void> FillVariant(const Model& model, const std::string& features,
                           const std::string& harmonization) {
    const bool primary = IsPrimary(study_, model.name, features, harmonization);
    std::vector<const Scored*> rows;
    for (const Scored& one : scored_) {
      if (one.fit->model == model.name && one.group->features == features &&
          one.group->harmonization == harmonization)
        rows.push_back(&one);
    }
    std::sort(rows.begin(), rows.end(),
              [](const Scored* a, const Scored* b) { return a->held_out < b->held_out; });
    std::vector<learning::VerdictCenter> centers;
    std::vector<learning::HeldOutCenter> pooled;
    for (const Scored* one : rows) {
      learning::VerdictCenter center;
      FillRow(*one, primary, center);
      pooled.push_back(center.center);
      pooled.back().other_institution =
          true;  // the table is over all held-out centers; the verdict is stricter
      centers.push_back(std::move(center));
    }
    CONSILIUM_TRY(FillSummary(model, features, harmonization, primary, pooled));
    FillNetBenefitTests(model, features, harmonization, centers);
    if (primary) {
      CONSILIUM_TRY(Judge(centers));
    }
    return {};
  }

  void FillRow(const Scored& one, bool primary, learning::VerdictCenter& center) {
    const Pattern& pattern = patterns_[one.group->pattern];
    ResultRow row;
    row.key = {one.fit->model, one.group->features, one.group->harmonization, one.held_out};
    row.institution = InstitutionOf(one.held_out);
    row.lambda_rule = Word(one.fit->lambda_rule);
    row.primary = primary;
    center.center.name = one.held_out;
    center.center.other_institution = OtherInstitution(pattern, one.held_out);
    if (const auto truth = study_.known_external_auc.find(one.held_out);
        truth != study_.known_external_auc.end()) {
      row.true_external_auc = truth->second;
    }
    if (one.fit->was_made()) {
      FillInternal(*one.fit, row, center);
      FillExternal(one, row, center);
    } else {
      row.status = RowStatus::kNotRun;
      row.reason = one.fit->path_ended;
      center.center.absence = "its model did not converge";
    }
    const auto why_not = learning::WhyNotCounting(center.center);
    row.counts = !why_not;
    if (why_not && row.reason.empty()) row.reason = "does not count: " + *why_not;
    results_.rows.push_back(std::move(row));
  }

  void FillInternal(const ModelFit& fit, ResultRow& row, learning::VerdictCenter& center) {
    const auto at = static_cast<std::size_t>(fit.index);
    row.lambda = fit.path->lambda[at];
    row.nonzero = (fit.path->full.points[at].beta.array() != 0).count();
    row.kkt_residual = fit.path->full.kkt_residual;
    row.path_length = static_cast<std::int64_t>(fit.path->lambda.size());
    row.path_ended = fit.path_ended;
    row.single_row_decides = fit.single_row_decides;
    center.center.internal = InternalOf(fit.internal);
    if (center.center.internal) {
      row.internal_auc = center.center.internal->value;
      row.internal_auc_ci = From(center.center.internal->interval);
    }
    if (const auto histogram = learning::AucOfHistogram(HistogramOf(fit.internal.histogram));
        histogram.has_value()) {
      row.internal_auc_pooled = histogram->value;
      row.internal_auc_pooled_bound = histogram->error_bound;
    }
  }

  void FillExternal(const Scored& one, ResultRow& row, learning::VerdictCenter& center) {
    if (!one.score) {
      row.status = RowStatus::kMissing;
      row.reason = "the center did not answer";
      center.center.absence = "did not answer";
      return;
    }
    row.n = one.score->n;
    if (one.score->withheld) {
      row.status = RowStatus::kTooFew;
      row.events = row.nonevents = -1;
      row.reason =
          fmt::format("fewer than {0} events or fewer than {0} non-events: withheld by the center",
                      std::max(5, study_.privacy.min_cell));
      center.center.absence =
          fmt::format("fewer than {0} events or non-events", std::max(5, study_.privacy.min_cell));
      return;
    }
    const learning::AucComponents& auc = one.score->auc;
    row.events = auc.events;
    row.nonevents = auc.nonevents;
    center.center.external = auc;
    center.counts = one.score->thresholds;
    const auto value = learning::AucValue(auc);
    if (!value) {
      row.status = RowStatus::kOneClass;
      row.reason = "one class only";
      return;
    }
    row.external_auc = *value;
    row.external_auc_ci = From(learning::AucLogitInterval(auc));
    row.external_auc_ci_wald = From(learning::AucWaldInterval(auc));
    if (const auto fall = learning::DegradationAt(center.center)) {
      row.degradation = fall->delta;
      row.degradation_ci = From(fall->interval);
    }
    FillCurves(one, row.key);
  }

  void FillCurves(const Scored& one, const FitKey& key) {
    RocCurve roc{key, {}};
    for (const learning::RocPoint& point : one.score->roc) {
      roc.points.push_back(
          {static_cast<double>(point.nonevents) / static_cast<double>(one.score->auc.nonevents),
           static_cast<double>(point.events) / static_cast<double>(one.score->auc.events)});
    }
    if (roc.points.empty() ||
        roc.points.front().false_positive_rate + roc.points.front().true_positive_rate > 0) {
      roc.points.insert(roc.points.begin(), {0, 0});
    }
    if (roc.points.back().false_positive_rate < 1 || roc.points.back().true_positive_rate < 1)
      roc.points.push_back({1, 1});
    results_.roc.push_back(std::move(roc));
    if (one.score->calibration) {
      const learning::Calibration& from = *one.score->calibration;
      CalibrationRow row;
      row.key = key;
      row.n = from.rows;
      row.observed = static_cast<double>(from.events);
      row.expected = from.expected;
      if (const auto oe = learning::ObservedOverExpected(from)) {
        row.oe = oe->value;
        row.oe_ci = From(oe->interval);
      }
      const auto put = [](const std::optional<learning::Coefficient>& coefficient, double& value,
                          Interval& interval) {
        if (!coefficient) return;
        value = coefficient->value;
        interval = AroundCoefficient(*coefficient);
      };
      put(from.in_the_large, row.citl, row.citl_ci);
      put(from.intercept, row.intercept, row.intercept_ci);
      put(from.slope, row.slope, row.slope_ci);
      if (!from.slope)
        row.reason = "no slope: the linear predictor is constant or separates the classes";
      row.brier = from.brier;
      row.groups = one.score->groups;
      results_.calibration.push_back(std::move(row));
    }
    NetBenefitCurve curve{key, {}};
    for (const learning::ThresholdCounts& counts : one.score->curve) {
      curve.points.push_back({counts.threshold, learning::NetBenefit(counts),
                              learning::NetBenefitOfTreatingAll(counts)});
    }
    if (!curve.points.empty()) results_.net_benefit_curves.push_back(std::move(curve));
  }

  Result<void> FillSummary(const Model& model, const std::string& features,
                           const std::string& harmonization, bool primary,
                           const std::vector<learning::HeldOutCenter>& centers) {
    SummaryRow row;
    row.model = model.name;
    row.features = features;
    row.harmonization = harmonization;
    row.lambda_rule = Word(model.lambda_rule);
    row.primary = primary;
    const auto pooled = learning::PoolDegradation(centers, 0.95);
    const auto pooled_90 = learning::PoolDegradation(centers, 0.90);
    if (pooled) {
      row.k = static_cast<std::int64_t>(pooled->centers.size());
      row.expit_mu = pooled->auc.value;
      row.ci = From(pooled->auc.interval);
      row.prediction_interval = From(pooled->prediction);
      row.prediction_interval_k2 = From(pooled->prediction_hts);
      row.tau2 = pooled->logit_auc.tau2;
      row.i2 = 100 * pooled->logit_auc.i2;
      row.mean_internal = pooled->internal_mean;
      row.delta = pooled->delta;
      row.delta_ci95 = From(pooled->delta_interval);
      if (pooled_90) row.delta_ci90 = From(pooled_90->delta_interval);
    } else {
      std::string others;
      for (const auto& center : centers) {
        const auto why = learning::WhyNotCounting(center);
        if (!why) ++row.k;
        if (why) others += fmt::format("; {} does not ({})", center.name, *why);
      }
      row.reason = row.k < learning::kCountingCentersMin
                       ? fmt::format("an average takes {} centers; here {} of {} can enter one{}",
                                     learning::kCountingCentersMin, row.k, centers.size(), others)
                       : pooled.error().message;
    }
    results_.summary.push_back(std::move(row));
    return {};
  }

  void FillNetBenefitTests(const Model& model, const std::string& features,
                           const std::string& harmonization,
                           const std::vector<learning::VerdictCenter>& centers) {
    for (const double threshold : study_.thresholds.values) {
      std::map<std::string, learning::ThresholdCounts> counts;
      for (const learning::VerdictCenter& center : centers) {
        for (const learning::ThresholdCounts& one : center.counts) {
          if (one.threshold == threshold && center.center.external)
            counts[center.center.name] = one;
        }
      }
      NetBenefitTest test;
      test.key = {model.name, features, harmonization, ""};
      test.threshold = threshold;
      test.k = static_cast<std::int64_t>(counts.size());
      const auto none = learning::CompareOverCenters(counts, learning::Against::kNone);
      const auto all = learning::CompareOverCenters(counts, learning::Against::kAll);
      if (none) {
        test.against_none = none->effects.mu;
        test.against_none_lower = none->lower;
      }
      if (all) {
        test.against_all = all->effects.mu;
        test.against_all_lower = all->lower;
      }
      if (none && all) {
        const bool useful = none->lower > 0 && all->lower > 0;
        test.status = useful                                ? CriterionStatus::kPass
                      : (none->upper < 0 || all->upper < 0) ? CriterionStatus::kFail
                                                            : CriterionStatus::kOpen;
        if (!useful) {
          test.sentence = fmt::format(
              "Net benefit {} treat-{} at {:.2f}.",
              test.status == CriterionStatus::kFail ? "is below" : "not distinguishable from",
              all->lower > 0 ? "none" : "all", threshold);
        }
      } else {
        test.sentence = fmt::format("Net benefit at {:.2f}: {}.", threshold,
                                    none ? all.error().message : none.error().message);
      }
      results_.net_benefit_tests.push_back(std::move(test));
    }
  }

  Result<void> Judge(const std::vector<learning::VerdictCenter>& centers) {
    learning::VerdictInput input;
    input.has_primary = study_.primary.has_value();
    input.leave_one_center_out = study_.design == Design::kLeaveOneCenterOut;
    input.margin = study_.margin;
    input.auc_floor = study_.auc_floor;
    input.thresholds = study_.thresholds.values;
    input.centers = centers;
    const auto judged = learning::Judge(input);
    CONSILIUM_TRY(judged);
    results_.verdict.word = learning::Name(judged->word);
    for (const learning::Criterion& one : judged->criteria) {
      Criterion criterion;
      const auto space = one.name.find(' ');
      criterion.name = one.name.substr(0, space);
      criterion.title = space == std::string::npos ? "" : one.name.substr(space + 1);
      criterion.status = one.status == learning::CriterionStatus::kPassed ? CriterionStatus::kPass
                         : one.status == learning::CriterionStatus::kFailed
                             ? CriterionStatus::kFail
                             : CriterionStatus::kOpen;
      criterion.sentence = one.finding;
      results_.verdict.criteria.push_back(std::move(criterion));
    }
    results_.verdict.sentences = judged->sentences;
    if (!results_.verdict.sentences.empty()) {
      results_.verdict.sentence = results_.verdict.sentences.front();
      results_.verdict.sentences.erase(results_.verdict.sentences.begin());
    }
    for (const ResultRow& row : results_.rows) {
      if (!row.primary) continue;
      const bool made = row.status != RowStatus::kNotRun;
      const std::string& said = made ? row.path_ended : row.reason;
      if (said.empty()) continue;
      results_.verdict.sentences.push_back(
          fmt::format("Held out {}: {}{}.", row.key.held_out, made ? "" : "not run: ", said));
    }
    SayCalibration();
    return {};
  }

  // No criterion asks whether risks are right, so the verdict's text says where they are not.
  void SayCalibration() {
    std::vector<std::string> too_low, too_high, extreme, timid;
    int judged = 0;
    for (const CalibrationRow& row : results_.calibration) {
      if (!IsPrimary(study_, row.key.model, row.key.features, row.key.harmonization)) continue;
      ++judged;
      const auto put = [&](const Interval& interval, double ideal, std::vector<std::string>& above,
                           std::vector<std::string>& below) {
        if (interval.lower > ideal) above.push_back(row.key.held_out);
        if (interval.upper < ideal) below.push_back(row.key.held_out);
      };
      put(row.citl_ci, 0, too_low, too_high);
      put(row.slope_ci, 1, timid, extreme);
    }
    if (judged == 0) return;
    std::vector<std::string> findings;
    const auto find = [&](const std::vector<std::string>& centers, std::string_view what) {
      if (!centers.empty()) findings.push_back(fmt::format("{} at {}", what, Join(centers, ", ")));
    };
    find(too_low, "predicted risks are on average too low");
    find(too_high, too_low.empty() ? "predicted risks are on average too high" : "too high");
    find(extreme, "the slope is below 1 (risks too extreme)");
    find(timid, "the slope is above 1 (risks not extreme enough)");
    results_.verdict.sentences.push_back(
        findings.empty()
            ? "Calibration is in no criterion: at no held-out center does a 95 % interval exclude "
              "0 for calibration in the large or 1 for the slope."
            : fmt::format("Calibration is in no criterion: {}. The 95 % intervals there exclude 0 "
                          "(calibration in the large) or 1 (slope).",
                          Join(findings, "; ")));
  }

  // What belongs to a fit rather than to a held-out center: coefficients, the path, dropped
  // columns.
  void FillFits() {
    const std::vector<std::string> names = StepColumns(study_);
    for (const Group& group : groups_) {
      const std::string held_out = Join(patterns_[group.pattern].held_out, "+");
      for (const ModelFit& fit : group.fits) {
        const FitKey key{fit.model, group.features, group.harmonization, held_out};
        for (const auto& [column, reason] : group.columns.dropped)
          results_.dropped_features.push_back({key, column, reason});
        if (!fit.was_made()) continue;
        const auto at = static_cast<std::size_t>(fit.index);
        const double lambda = fit.path->lambda[at];
        results_.coefficients.push_back({key, lambda, "(Intercept)", fit.coefficients(0)});
        for (Eigen::Index j = 1; j < fit.coefficients.size(); ++j) {
          if (fit.coefficients(j) == 0) continue;
          const int column = group.columns.kept[static_cast<std::size_t>(j - 1)];
          results_.coefficients.push_back(
              {key, lambda, names[static_cast<std::size_t>(column)], fit.coefficients(j)});
        }
        CvCurve curve;
        curve.key = key;
        for (std::size_t l = 0; l < fit.path->lambda.size(); ++l) {
          const auto index = static_cast<Eigen::Index>(l);
          curve.points.push_back(
              {fit.path->lambda[l], fit.path->cvm(index), fit.path->cvsd(index),
               static_cast<std::int64_t>((fit.path->full.points[l].beta.array() != 0).count())});
        }
        curve.lambda_min = fit.path->lambda[static_cast<std::size_t>(fit.path->index_min)];
        curve.lambda_1se = fit.path->lambda[static_cast<std::size_t>(fit.path->index_1se)];
        results_.cv.push_back(std::move(curve));
      }
    }
  }

  const Study& study_;
  const std::vector<Pattern>& patterns_;
  const std::vector<Group>& groups_;
  const std::vector<Scored>& scored_;
  Results results_;
};

}  // namespace

Engine MakeEngine() {
  Engine engine;
  learning::RegisterMomentSteps(engine);
  harmonization::RegisterCombatSteps(engine);
  learning::RegisterLassoSteps(engine);
  RegisterScoringSteps(engine);
  engine.program = RunStudy;
  return engine;
}

std::vector<Pattern> PatternsOf(const Study& study) {
  std::vector<std::string> sites = study.sites;
  std::sort(sites.begin(), sites.end());
  const auto without = [&sites](const std::vector<std::string>& held_out) {
    std::vector<std::string> members;
    for (const std::string& site : sites) {
      if (std::find(held_out.begin(), held_out.end(), site) == held_out.end())
        members.push_back(site);
    }
    return members;
  };
  std::vector<Pattern> patterns;
  if (study.design == Design::kNamedHeldOut) {
    std::vector<std::string> held_out = study.held_out;
    std::sort(held_out.begin(), held_out.end());
    patterns.push_back({without(held_out), held_out});
  } else {
    for (const std::string& site : sites) patterns.push_back({without({site}), {site}});
  }
  return patterns;
}

std::vector<std::string> StepColumns(const Study& study) {
  std::vector<std::string> names = study.feature_columns;
  for (std::string& column : CovariateColumns(study)) names.push_back(std::move(column));
  return names;
}

std::string WhatIsAsked(const std::vector<federation::Query>& queries) {
  std::set<std::string> steps;
  for (const auto& query : queries) steps.insert(query.step);
  if (steps.contains("study.score")) return "scoring the held-out centers";
  if (steps.contains("lasso.evaluate")) return "fitting lasso paths";
  if (steps.contains("lasso.internal")) return "measuring the internal AUC";
  if (steps.contains("lasso.design")) return "preparing the designs";
  for (const std::string& step : steps) {
    if (step.starts_with("combat.")) return "harmonizing";
  }
  return "measuring columns";
}

std::string FitName(std::string_view features, std::string_view harmonization,
                    const Pattern& pattern) {
  return fmt::format("{}/{}/held out {}", features, harmonization, Join(pattern.held_out, "+"));
}

Task<Results> RunStudy(Sums& sums, const Study& study) {
  const std::vector<Pattern> patterns = PatternsOf(study);
  std::vector<Group> groups;
  for (std::size_t p = 0; p < patterns.size(); ++p) {
    for (const FeatureSet& set : study.feature_sets) {
      for (const Harmonization& harmonization : study.harmonizations) {
        Group group;
        group.features = set.name;
        group.harmonization = harmonization.name;
        group.pattern = p;
        groups.push_back(std::move(group));
      }
    }
  }
  {
    std::vector<Task<int>> tasks;
    for (std::size_t p = 0; p < patterns.size(); ++p) {
      for (const FeatureSet& set : study.feature_sets) {
        std::vector<Group*> mine;
        for (Group& group : groups) {
          if (group.pattern == p && group.features == set.name) mine.push_back(&group);
        }
        tasks.push_back(FitPattern(sums, study, patterns[p], set, std::move(mine)));
      }
    }
    WhenAll<int> fitting(std::move(tasks));
    const std::vector<Result<int>> done = co_await fitting;
    for (const auto& one : done) {
      if (!one) co_return tl::unexpected<Error>(one.error());
    }
  }
  // Every model is frozen now: the held-out centers score, and every center says where its rows
  // went.
  std::vector<Scored> scored;
  for (const Group& group : groups) {
    for (const ModelFit& fit : group.fits) {
      for (const std::string& held_out : patterns[group.pattern].held_out)
        scored.push_back({&group, &fit, held_out, std::nullopt});
    }
  }
  std::map<std::string, SiteFlow> flow;
  for (const std::string& site : study.sites) {
    SiteFlow& one = flow[site];
    const auto institution = study.institutions.find(site);
    one.institution = institution == study.institutions.end() ? site : institution->second;
    one.role = study.design == Design::kLeaveOneCenterOut ? "training and held out in turn"
               : Trains(study, site)                      ? "training"
                                                          : "held out";
  }
  {
    std::vector<Task<int>> tasks;
    for (Scored& one : scored) {
      if (one.fit->was_made()) tasks.push_back(ScoreOne(sums, study, one));
    }
    for (auto& [site, one] : flow) tasks.push_back(FlowOne(sums, site, one));
    WhenAll<int> scoring(std::move(tasks));
    const std::vector<Result<int>> done = co_await scoring;
    for (const auto& one : done) {
      if (!one) co_return tl::unexpected<Error>(one.error());
    }
  }
  Assembler assembler(study, patterns, groups, scored);
  co_return assembler.Assemble(std::move(flow));
}

}  // namespace consilium::study
