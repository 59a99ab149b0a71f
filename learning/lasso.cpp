#include "learning/lasso.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/portable_math.h"

namespace consilium::learning {
namespace {

using federation::Block;
using federation::Query;
using federation::Scope;
using federation::Sums;
using federation::Task;
using federation::Total;

constexpr double kStrictShare = 0.33;               // columns of a curvature per row of the sum
constexpr int kGlmnetLambdasBeforeStop = 5;         // glmnet.control(mnlam)
constexpr double kGlmnetDevianceFlat = 1e-5;        // glmnet.control(fdev)
constexpr double kGlmnetDevianceExplained = 0.999;  // glmnet.control(devmax)
constexpr int kRisesBeforeStop = 5;
constexpr double kScreenShare =
    0.92;  // of its lambda: a gradient this close counts as about to enter
constexpr int kRoundsBeforeOwnCurvature = 8;  // of one block

Eigen::MatrixXd Scalar(double value) { return Eigen::MatrixXd::Constant(1, 1, value); }

// A query for the sums at `points`; curvature at points[curvature_at] on `columns` if that is not
// negative.
Query EvaluateQuery(const Scope& scope, const std::vector<const PathPoint*>& points, double rows,
                    int curvature_at, const std::vector<int>& columns) {
  std::vector<double> offset = {0}, column, beta, intercept;
  for (const PathPoint* point : points) {
    for (Eigen::Index j = 0; j < point->beta.size(); ++j) {
      if (point->beta(j) == 0) continue;
      column.push_back(static_cast<double>(j));
      beta.push_back(point->beta(j));
    }
    offset.push_back(static_cast<double>(column.size()));
    intercept.push_back(point->intercept);
  }
  const auto block = [](std::string name, const std::vector<double>& values) {
    return Block{std::move(name), Eigen::Map<const Eigen::MatrixXd>(
                                      values.data(), static_cast<Eigen::Index>(values.size()), 1)};
  };
  return {"lasso.evaluate",
          scope,
          {block("offset", offset),
           block("column", column),
           block("beta", beta),
           block("intercept", intercept),
           {"rows_of_sum", Scalar(rows)},
           {"columns_of_design", Scalar(static_cast<double>(points.front()->beta.size()))},
           {"curvature_at", Scalar(curvature_at)},
           IndexBlock("curvature_columns", columns)}};
}

void ReadPoint(const Total& total, Eigen::Index at, double rows, double left_out_rows,
               PathPoint& point) {
  // The sums are of z (y - p); the loss falls in that direction.
  point.gradient = total["gradient"].col(at) / -rows;
  point.score = total["score"](0, at) / -rows;
  point.loss = total["loss"](0, at) / rows;
  point.left_out_deviance =
      left_out_rows > 0 ? total["left_out_deviance"](0, at) / left_out_rows : 0;
}

double Objective(const PathPoint& point, double lambda) {
  return point.loss + lambda * point.beta.cwiseAbs().sum();
}

// The state of one fit while its path grows.
struct Fit {
  LassoFitInput input;
  PathPoint null_point;
  std::vector<PathPoint> points;  // closed lambdas
  Curvature curvature;
  bool has_curvature = false;
  double kkt_residual = 0;
  int rounds = 0;
  std::optional<Unconverged> unconverged;  // the first lambda that stays open, if one does

  [[nodiscard]] double rows() const { return input.moments.rows; }
  [[nodiscard]] Eigen::Index p() const { return input.moments.mean.size(); }
};

// Columns of one curvature, the intercept apart, that the disclosure rule allows.
std::size_t CurvatureColumnsMax(const Fit& fit, const LassoOptions& options) {
  const double share = options.strict_curvature ? kStrictShare : 1.0;
  return static_cast<std::size_t>(std::max(1.0, std::floor(share * fit.rows()) - 1));
}

// A point of the path and the lambda that it belongs to.
struct Seen {
  const PathPoint* point = nullptr;
  double lambda = 0;
};

// The columns whose curvature is worth asking: active at a point, or about to enter by its exact
// gradient; at most what the disclosure rule allows, the strongest first.
std::vector<int> ScreenColumns(const Fit& fit, const std::vector<Seen>& seen,
                               const LassoOptions& options) {
  const std::size_t cap = CurvatureColumnsMax(fit, options);
  std::vector<bool> active(static_cast<std::size_t>(fit.p()), false);
  Eigen::VectorXd strength = Eigen::VectorXd::Zero(fit.p());
  for (const Seen& one : seen) {
    for (Eigen::Index j = 0; j < fit.p(); ++j) {
      if (one.point->beta(j) != 0) active[static_cast<std::size_t>(j)] = true;
      if (one.point->gradient.size() == fit.p())
        strength(j) = std::max(strength(j), std::fabs(one.point->gradient(j)) / one.lambda);
    }
  }
  std::vector<int> order;
  for (int j = 0; j < static_cast<int>(fit.p()); ++j) {
    if (active[static_cast<std::size_t>(j)] || strength(j) >= kScreenShare) order.push_back(j);
  }
  std::stable_sort(order.begin(), order.end(), [&](int x, int y) {
    const bool active_x = active[static_cast<std::size_t>(x)],
               active_y = active[static_cast<std::size_t>(y)];
    if (active_x != active_y) return active_x;
    return strength(x) > strength(y);
  });
  if (order.size() > cap) order.resize(cap);
  std::sort(order.begin(), order.end());
  return order;
}

// One lambda on its way to its optimum.
struct Open {
  PathPoint point;      // best so far, with its gradient
  PathPoint candidate;  // asked, or to be asked
  double objective = 0;
  bool closed = false;
  int rises = 0;  // candidates in a row that raised the objective
  double damping = 1;
  std::optional<Curvature> own;  // the shared curvature, corrected by this lambda's secants
};

// Takes the columns in which two points differ into `own`, with the bound of a column alone: their
// cross products are not asked (the disclosure rule bounds the columns of one question), so the
// secants must learn them.
void Widen(const PathPoint& from, const PathPoint& to, double diagonal, Curvature& own) {
  std::vector<int> added;
  for (Eigen::Index j = 0; j < to.beta.size(); ++j) {
    if (own.position(j) < 0 && to.beta(j) != from.beta(j)) added.push_back(static_cast<int>(j));
  }
  if (added.empty()) return;
  const Eigen::Index before = own.matrix.rows();
  const Eigen::Index order = before + static_cast<Eigen::Index>(added.size());
  Eigen::MatrixXd matrix = Eigen::MatrixXd::Zero(order, order);
  matrix.topLeftCorner(before, before) = own.matrix;
  for (std::size_t k = 0; k < added.size(); ++k) {
    const Eigen::Index place = before + static_cast<Eigen::Index>(k);
    matrix(place, place) = diagonal;
    own.position(added[k]) = static_cast<int>(place);
    own.columns.push_back(added[k]);
  }
  own.matrix = std::move(matrix);
}

// Puts what a step showed about the curvature into `own` (BFGS: Nocedal & Wright 2006, eq. 6.19),
// so that the curvature of a neighbouring lambda becomes that of this one after a few steps.
void LearnCurvature(const PathPoint& from, const PathPoint& to, Curvature& own) {
  Widen(from, to, QuadraticOptions().outside_diagonal, own);
  const Eigen::Index order = own.matrix.rows();
  Eigen::VectorXd step(order), change(order);
  step(0) = to.intercept - from.intercept;
  change(0) = to.score - from.score;
  for (Eigen::Index k = 1; k < order; ++k) {
    const int j = own.columns[static_cast<std::size_t>(k - 1)];
    step(k) = to.beta(j) - from.beta(j);
    change(k) = to.gradient(j) - from.gradient(j);
  }
  Eigen::VectorXd bent = Eigen::VectorXd::Zero(order);
  for (Eigen::Index k = 0; k < order; ++k) {
    if (step(k) == 0) continue;
    for (Eigen::Index i = 0; i < order; ++i) bent(i) += own.matrix(i, k) * step(k);
  }
  double measured = 0, modelled = 0;
  for (Eigen::Index k = 0; k < order; ++k) {
    measured += step(k) * change(k);
    modelled += step(k) * bent(k);
  }
  if (!(measured > 1e-3 * modelled && modelled > 0)) return;  // rounding, or no step at all
  for (Eigen::Index k = 0; k < order; ++k) {
    const double add = change(k) / measured, remove = bent(k) / modelled;
    for (Eigen::Index i = 0; i < order; ++i) own.matrix(i, k) += change(i) * add - bent(i) * remove;
  }
}

// Brings lambdas [first, last) of one fit to their optimum. The points come back closed in
// fit.points; of a lambda that does not reach its tolerance, fit.unconverged tells, and neither it
// nor a later one comes back.
Task<int> AdvanceBlock(Sums& sums, Fit& fit, const std::vector<double>& lambda, std::size_t first,
                       std::size_t last, LassoOptions options) {
  const std::size_t count = last - first;
  std::vector<Open> open(count);
  const PathPoint anchor = fit.points.empty() ? fit.null_point : fit.points.back();
  PathPoint start = anchor;
  for (std::size_t k = 0; k < count; ++k) {
    open[k].point = anchor;
    open[k].objective = Objective(anchor, lambda[first + k]);
    open[k].candidate = SolvePenalizedQuadratic(
        anchor, fit.has_curvature ? &fit.curvature : nullptr, lambda[first + k], start, {});
    start = open[k].candidate;
  }
  int rounds = 0;
  for (; rounds < options.iterations_max; ++rounds) {
    std::vector<const PathPoint*> points;
    std::vector<std::size_t> asked_of;
    for (std::size_t k = 0; k < count; ++k) {
      if (open[k].closed) continue;
      points.push_back(&open[k].candidate);
      asked_of.push_back(k);
    }
    if (points.empty()) break;
    // Curvature: once a block, as soon as exact gradients tell which columns matter; again where a
    // column outside it became active; and of the slowest lambda alone if the secants do not
    // suffice.
    bool uncovered = !fit.has_curvature;
    for (const PathPoint* point : points) {
      for (Eigen::Index j = 0; fit.has_curvature && j < fit.p(); ++j) {
        const bool outside = point->beta(j) != 0 && fit.curvature.position(j) < 0;
        if (outside && fit.curvature.columns.size() < CurvatureColumnsMax(fit, options))
          uncovered = true;
      }
    }
    const bool slow = rounds >= kRoundsBeforeOwnCurvature && rounds % 4 == 0;
    std::size_t middle = asked_of.size() / 2;
    if (slow) {
      for (std::size_t i = 0; i < asked_of.size(); ++i) {
        const auto residual_of = [&](std::size_t at) {
          return KktResidual(open[asked_of[at]].point, lambda[first + asked_of[at]]);
        };
        if (i == 0 || residual_of(i) > residual_of(middle)) middle = i;
      }
    }
    int curvature_at = -1;
    std::vector<int> columns;
    if (rounds == 1 || uncovered || slow) {
      if ((points[middle]->beta.array() != 0)
              .any()) {  // never at the null point: every leave-one-out pattern shares it
        std::vector<Seen> seen;
        for (const std::size_t k : asked_of) {
          seen.push_back({&open[k].candidate, lambda[first + k]});
          seen.push_back({&open[k].point, lambda[first + k]});
        }
        columns = ScreenColumns(fit, seen, options);
        curvature_at = static_cast<int>(middle);
      }
    }
    Query query = EvaluateQuery(fit.input.scope, points, fit.rows(), curvature_at, columns);
    auto asked = sums.Of(std::move(query));
    const Total total = co_await asked;
    if (curvature_at >= 0) {
      Curvature curvature = Curvature::FromPacked(columns, total["curvature"], fit.p());
      if (slow) {
        open[asked_of[middle]].own = std::move(curvature);
      } else {
        fit.curvature = std::move(curvature);
        fit.has_curvature = true;
        for (Open& one : open) one.own.reset();
      }
    }
    for (std::size_t i = 0; i < asked_of.size(); ++i) {
      Open& one = open[asked_of[i]];
      const double at_lambda = lambda[first + asked_of[i]];
      ReadPoint(total, static_cast<Eigen::Index>(i), fit.rows(), fit.input.left_out_rows,
                one.candidate);
      const double residual = KktResidual(one.candidate, at_lambda);
      if (residual <= options.kkt_tolerance) {
        one.point = std::move(one.candidate);
        one.closed = true;
        one.own.reset();
        fit.kkt_residual = std::max(fit.kkt_residual, residual);
        continue;
      }
      const bool measured_here = curvature_at == static_cast<int>(i);
      if (fit.has_curvature && rounds > 0 && !measured_here) {
        if (!one.own) one.own = fit.curvature;
        LearnCurvature(one.point, one.candidate, *one.own);
      }
      // Safeguard: a candidate that raised the objective is not accepted, it only teaches the
      // curvature; if that does not help, the curvature is raised until the model lies above the
      // loss.
      const double objective = Objective(one.candidate, at_lambda);
      if (objective <= one.objective + 1e-11 * (1 + std::fabs(one.objective))) {
        one.point = std::move(one.candidate);
        one.objective = objective;
        one.rises = 0;
        one.damping = std::max(1.0, one.damping / 4);
      } else if (++one.rises > 1) {
        one.damping *= 4;
      }
      QuadraticOptions quadratic;
      quadratic.damping = one.damping;
      const Curvature* curvature = one.own             ? &*one.own
                                   : fit.has_curvature ? &fit.curvature
                                                       : nullptr;
      one.candidate =
          SolvePenalizedQuadratic(one.point, curvature, at_lambda, one.point, quadratic);
    }
  }
  for (std::size_t k = 0; k < count; ++k) {
    if (!open[k].closed) {
      fit.unconverged = Unconverged{fit.input.scope.fit, static_cast<int>(first + k), rounds,
                                    KktResidual(open[k].point, lambda[first + k])};
      break;
    }
    fit.points.push_back(std::move(open[k].point));
  }
  fit.rounds += rounds;
  co_return rounds;
}

// The design of one fit, and its null point.
Task<int> PrepareFit(Sums& sums, Fit& fit) {
  const double rate = fit.input.events / fit.rows();
  if (!(rate > 0 && rate < 1)) {
    co_return Fail(ErrorCode::kFailedPrecondition,
                   fmt::format("fit '{}': the training rows hold one class only ({} events of {} "
                               "rows); expected both; use fewer folds or more centers",
                               fit.input.scope.fit, fit.input.events, fit.rows()));
  }
  Query query{"lasso.design",
              fit.input.scope,
              {IndexBlock("columns", fit.input.columns),
               {"mean", fit.input.moments.mean},
               {"sd", fit.input.moments.sd},
               {"event_rate", Scalar(rate)}}};
  auto asked = sums.Of(std::move(query));
  const Total total = co_await asked;
  fit.null_point.intercept = Logit(rate);
  fit.null_point.beta = Eigen::VectorXd::Zero(fit.p());
  fit.null_point.score = 0;
  fit.null_point.gradient = total["gradient"].col(0) / -fit.rows();
  fit.null_point.loss = -(rate * Log(rate) + (1 - rate) * Log(1 - rate));
  co_return 1;
}

// cv.glmnet: folds weighted by their rows; the standard error of that mean.
void CrossValidate(const std::vector<Fit>& fits, std::size_t lambda_count, Eigen::VectorXd& cvm,
                   Eigen::VectorXd& cvsd) {
  cvm = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(lambda_count));
  cvsd = cvm;
  for (std::size_t l = 0; l < lambda_count; ++l) {
    double weight = 0, mean = 0, folds = 0;
    for (std::size_t f = 1; f < fits.size(); ++f) {
      if (fits[f].input.left_out_rows <= 0) continue;
      weight += fits[f].input.left_out_rows;
      mean += fits[f].input.left_out_rows * fits[f].points[l].left_out_deviance;
      folds += 1;
    }
    mean /= weight;
    double spread = 0;
    for (std::size_t f = 1; f < fits.size(); ++f) {
      if (fits[f].input.left_out_rows <= 0) continue;
      const double gap = fits[f].points[l].left_out_deviance - mean;
      spread += fits[f].input.left_out_rows * gap * gap;
    }
    cvm(static_cast<Eigen::Index>(l)) = mean;
    cvsd(static_cast<Eigen::Index>(l)) = std::sqrt(spread / weight / (folds - 1));
  }
}

// Every one of the last lambdas clearly worse than the best, and rising.
bool CrossValidationRose(const Eigen::VectorXd& cvm, const Eigen::VectorXd& cvsd) {
  const Eigen::Index count = cvm.size();
  if (count <= kRisesBeforeStop) return false;
  Eigen::Index best = 0;
  for (Eigen::Index l = 1; l < count; ++l) {
    if (cvm(l) < cvm(best)) best = l;
  }
  for (Eigen::Index l = count - kRisesBeforeStop; l < count; ++l) {
    if (cvm(l) <= cvm(best) + cvsd(best) || cvm(l) < cvm(l - 1)) return false;
  }
  return true;
}

}  // namespace

Task<LassoPath> FitLassoPath(Sums& sums, LassoFitInput full, std::vector<LassoFitInput> folds,
                             LassoOptions options) {
  std::vector<Fit> fits(1 + folds.size());
  fits[0].input = std::move(full);
  for (std::size_t f = 0; f < folds.size(); ++f) fits[f + 1].input = std::move(folds[f]);
  LassoPath path;
  {
    std::vector<Task<int>> tasks;
    for (Fit& fit : fits) tasks.push_back(PrepareFit(sums, fit));
    federation::WhenAll<int> all(std::move(tasks));
    const std::vector<Result<int>> done = co_await all;
    for (const auto& one : done) {
      if (!one) co_return tl::unexpected<Error>(one.error());
    }
    path.rounds += 1;
  }
  const double p = static_cast<double>(fits[0].p());
  const double ratio =
      options.lambda_min_ratio > 0 ? options.lambda_min_ratio : (fits[0].rows() < p ? 1e-2 : 1e-4);
  const double lambda_max = fits[0].null_point.gradient.cwiseAbs().maxCoeff();
  std::vector<double> lambda;
  for (int l = 0; l < options.lambda_count; ++l) {
    const double share =
        options.lambda_count > 1 ? static_cast<double>(l) / (options.lambda_count - 1) : 0.0;
    lambda.push_back(lambda_max * Exp(Log(ratio) * share));
  }
  const double null_loss = fits[0].null_point.loss;
  const auto explained = [&](std::size_t l) { return 1 - fits[0].points[l].loss / null_loss; };

  path.stopped = "last lambda";
  std::size_t end = 0;
  bool going = true;
  while (going && end < lambda.size()) {
    const std::size_t first = end;
    const std::size_t last =
        std::min(lambda.size(), first + static_cast<std::size_t>(options.block));
    std::vector<Task<int>> tasks;
    for (Fit& fit : fits) tasks.push_back(AdvanceBlock(sums, fit, lambda, first, last, options));
    federation::WhenAll<int> all(std::move(tasks));
    const std::vector<Result<int>> done = co_await all;
    int slowest = 0;
    for (const auto& one : done) {
      if (!one) co_return tl::unexpected<Error>(one.error());
      slowest = std::max(slowest, *one);
    }
    path.rounds += slowest;
    end = last;
    for (const Fit& fit : fits) {
      if (fit.points.size() >= end) continue;
      end = fit.points.size();
      path.unconverged = fit.unconverged;
    }
    // glmnet ends its path where the deviance no longer changes or is all explained.
    for (std::size_t l = std::max<std::size_t>(first, kGlmnetLambdasBeforeStop - 1); l < end; ++l) {
      if (explained(l) > kGlmnetDevianceExplained) {
        path.stopped = "deviance explained";
      } else if (explained(l) - explained(l - 1) < kGlmnetDevianceFlat) {
        path.stopped = "deviance flat";
      } else {
        continue;
      }
      end = l + 1;
      going = false;
      break;
    }
    if (going && options.path_stop && fits.size() > 1) {
      CrossValidate(fits, end, path.cvm, path.cvsd);
      if (CrossValidationRose(path.cvm, path.cvsd)) {
        path.stopped = "cross-validation rose";
        going = false;
      }
    }
    if (!going) {
      path.unconverged.reset();  // the path ends before that lambda anyway
    } else if (path.unconverged) {
      path.stopped = "not converged";
      going = false;
      if (end < 2) end = 0;
    }
  }
  lambda.resize(end);
  path.lambda = std::move(lambda);
  if (fits.size() > 1) CrossValidate(fits, end, path.cvm, path.cvsd);
  if (path.cvm.size() > 0) {
    Eigen::Index best = 0;
    for (Eigen::Index l = 1; l < path.cvm.size(); ++l) {
      if (path.cvm(l) < path.cvm(best)) best = l;
    }
    path.index_min = static_cast<int>(best);
    Eigen::Index one_se = 0;
    while (path.cvm(one_se) > path.cvm(best) + path.cvsd(best)) ++one_se;
    path.index_1se = static_cast<int>(one_se);
  }
  for (std::size_t f = 0; f < fits.size(); ++f) {
    LassoFit fit;
    fits[f].points.resize(end);
    fit.points = std::move(fits[f].points);
    fit.kkt_residual = fits[f].kkt_residual;
    fit.null_deviance = 2 * fits[f].null_point.loss;
    if (f == 0) {
      path.full = std::move(fit);
    } else {
      path.folds.push_back(std::move(fit));
    }
  }
  co_return path;
}

Task<LogisticFit> FitLogistic(Sums& sums, LassoFitInput input) {
  Fit fit;
  fit.input = std::move(input);
  auto prepare = PrepareFit(sums, fit);
  const Result<int> prepared = co_await prepare;
  if (!prepared) co_return tl::unexpected<Error>(prepared.error());
  std::vector<int> columns;
  for (int j = 0; j < static_cast<int>(fit.p()); ++j) columns.push_back(j);
  // The first step is along the null gradient with the diagonal bound: curvature is never asked at
  // the null point.
  PathPoint point = SolvePenalizedQuadratic(fit.null_point, nullptr, 0, fit.null_point, {});
  LogisticFit result;
  constexpr int kIterationsMax = 60;
  constexpr double kGradientTolerance = 1e-12;
  for (result.iterations = 1; result.iterations <= kIterationsMax; ++result.iterations) {
    Query query = EvaluateQuery(fit.input.scope, {&point}, fit.rows(), 0, columns);
    auto asked = sums.Of(std::move(query));
    const Total total = co_await asked;
    ReadPoint(total, 0, fit.rows(), 0, point);
    const Curvature curvature = Curvature::FromPacked(columns, total["curvature"], fit.p());
    if (KktResidual(point, 0) <= kGradientTolerance) {
      // Back to the original scale: theta = A b with b on the standardised scale.
      const Eigen::Index order = fit.p() + 1;
      Eigen::MatrixXd to_original = Eigen::MatrixXd::Zero(order, order);
      to_original(0, 0) = 1;
      for (Eigen::Index j = 0; j < fit.p(); ++j) {
        to_original(j + 1, j + 1) = 1 / fit.input.moments.sd(j);
        to_original(0, j + 1) = -fit.input.moments.mean(j) / fit.input.moments.sd(j);
      }
      const Eigen::MatrixXd information = curvature.matrix * fit.rows();
      result.covariance = to_original.lazyProduct(
          Eigen::MatrixXd(information.ldlt().solve(Eigen::MatrixXd(to_original.transpose()))));
      result.coefficients = OriginalScale(point, fit.input.moments);
      result.loglik = -point.loss * fit.rows();
      result.null_deviance = 2 * fit.null_point.loss * fit.rows();
      co_return result;
    }
    point = SolvePenalizedQuadratic(point, &curvature, 0, point, {});
  }
  co_return Fail(ErrorCode::kFailedPrecondition,
                 fmt::format("fit '{}': maximum likelihood did not converge in {} rounds; the "
                             "classes may be separable: use the lasso",
                             fit.input.scope.fit, kIterationsMax));
}

Eigen::VectorXd OriginalScale(const PathPoint& point, const Moments& moments) {
  Eigen::VectorXd coefficients(point.beta.size() + 1);
  double intercept = point.intercept;
  for (Eigen::Index j = 0; j < point.beta.size(); ++j) {
    const double slope = point.beta(j) == 0 ? 0.0 : point.beta(j) / moments.sd(j);
    coefficients(j + 1) = slope;
    intercept -= slope * moments.mean(j);
  }
  coefficients(0) = intercept;
  return coefficients;
}

Task<InternalAucSums> MeasureInternalAuc(Sums& sums, std::vector<LassoFitInput> folds,
                                         std::vector<PathPoint> points, std::string group) {
  std::vector<const PathPoint*> chosen;
  for (const PathPoint& point : points) chosen.push_back(&point);
  Scope scope = folds.front().scope;
  scope.fit = group;
  scope.left_out_fold = 0;
  Query query = EvaluateQuery(scope, chosen, 0, -1, {});
  query.step = "lasso.internal";
  auto asked = sums.Of(std::move(query));
  const Total total = co_await asked;
  InternalAucSums internal;
  internal.u = total["u"](0, 0);
  internal.pairs = total["pairs"](0, 0);
  internal.weighted_variance = total["weighted_variance"](0, 0);
  internal.pairs_with_variance = total["pairs_with_variance"](0, 0);
  internal.centers_without_variance = total["centers_without_variance"](0, 0);
  internal.histogram = total["histogram"];
  co_return internal;
}

Task<double> CountDecidingRows(Sums& sums, std::vector<LassoFitInput> folds, const LassoPath& path,
                               std::string group) {
  double rows = 0;
  std::vector<const PathPoint*> points;  // fold by fold, each with its whole path
  for (std::size_t f = 0; f < folds.size(); ++f) {
    rows += folds[f].left_out_rows;
    for (const PathPoint& point : path.folds[f].points) points.push_back(&point);
  }
  Scope scope = folds.front().scope;
  scope.fit = group;
  scope.left_out_fold = 0;
  Query query = EvaluateQuery(scope, points, 0, -1, {});
  query.step = "lasso.influence";
  query.inputs.push_back({"summed_deviance", path.cvm * rows});
  query.inputs.push_back(
      {"lambda", Eigen::Map<const Eigen::VectorXd>(path.lambda.data(),
                                                   static_cast<Eigen::Index>(path.lambda.size()))});
  query.inputs.push_back({"chosen", Scalar(path.index_min)});
  auto asked = sums.Of(std::move(query));
  const Total total = co_await asked;
  co_return total["deciding_rows"](0, 0);
}

}  // namespace consilium::learning
