// The site half of the LASSO: the standardised matrix of a fit, and sums at points of its path.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/portable_math.h"
#include "learning/auc.h"
#include "learning/lasso.h"

namespace consilium::learning {
namespace {

using federation::Answer;
using federation::BlockLayout;
using federation::Context;
using federation::Derived;
using federation::DerivedValue;
using federation::Disclosure;
using federation::Query;
using federation::WordFormat;

constexpr WordFormat kGradientWords{64, 38};
constexpr WordFormat kLossWords{64, 34};
constexpr WordFormat kCurvatureWords{64, 52};
constexpr WordFormat kPairWords{64, 1};
constexpr WordFormat kVarianceWords{128, 40};
constexpr WordFormat kCountWords{32, 0};
constexpr double kGlmnetProbabilityFloor = 1e-5;
constexpr double kDecidingFactor = 1.5;  // a neighbouring lambda is the same choice
constexpr int kHistogramBins = kScoreBins;
constexpr Eigen::Index kPointsMax = 1 << 16;

Eigen::MatrixXd Scalar(double value) { return Eigen::MatrixXd::Constant(1, 1, value); }

// ---- design
// -----------------------------------------------------------------------------------------

Result<std::vector<BlockLayout>> DesignLayout(const Query& query) {
  const auto columns = ReadInput(query, "columns", -1, 1);
  CONSILIUM_TRY(columns);
  return std::vector<BlockLayout>{{"gradient", (*columns)->rows(), 1, kGradientWords}};
}

Result<std::shared_ptr<const DerivedValue>> DeriveDesign(const Context& context,
                                                         const Derived& derived,
                                                         const Query& query) {
  const auto columns = ReadIndices(query, "columns", context.cohort.features.cols());
  CONSILIUM_TRY(columns);
  const auto p = static_cast<Eigen::Index>(columns->size());
  const auto mean = ReadInput(query, "mean", p, 1);
  CONSILIUM_TRY(mean);
  const auto sd = ReadInput(query, "sd", p, 1);
  CONSILIUM_TRY(sd);
  if (!((*sd)->array() > 0).all()) {
    return Fail(ErrorCode::kInvalidArgument,
                "lasso.design: a standard deviation is not positive; constant columns must be "
                "dropped first");
  }
  const federation::TrainingRows rows = context.Rows(query.scope);
  auto design = std::make_shared<Design>();
  const auto standardize = [&](const std::vector<Eigen::Index>& which, Eigen::MatrixXd& z,
                               Eigen::VectorXd& y) -> Result<void> {
    auto values = FeatureValues(context, derived, query.scope.fit, *columns, which);
    CONSILIUM_TRY(values);
    z = std::move(*values);
    for (Eigen::Index j = 0; j < p; ++j) {
      const double m = (**mean)(j, 0), s = (**sd)(j, 0);
      for (Eigen::Index i = 0; i < z.rows(); ++i) z(i, j) = (z(i, j) - m) / s;
    }
    y.resize(static_cast<Eigen::Index>(which.size()));
    for (std::size_t i = 0; i < which.size(); ++i)
      y(static_cast<Eigen::Index>(i)) = context.cohort.outcome(which[i]);
    return {};
  };
  CONSILIUM_TRY(standardize(rows.rows, design->training, design->outcome));
  CONSILIUM_TRY(standardize(rows.left_out, design->left_out, design->left_out_outcome));
  return design;
}

Result<Answer> DesignAnswer(const Context&, const Derived& derived, const Query& query) {
  const Design* design = derived.Find<Design>(query.scope.fit, kDesign);
  const auto rate = ReadInput(query, "event_rate", 1, 1);
  CONSILIUM_TRY(rate);
  const Eigen::VectorXd residual = design->outcome.array() - (**rate)(0, 0);
  Eigen::MatrixXd gradient(design->training.cols(), 1);
  for (Eigen::Index j = 0; j < design->training.cols(); ++j)
    gradient(j, 0) = design->training.col(j).dot(residual);
  return Answer{{{"gradient", gradient}}};
}

// ---- evaluation
// -------------------------------------------------------------------------------------

// Points of a path as they travel: sparse slopes on the standardised scale and an intercept each.
struct Points {
  std::vector<std::vector<std::pair<Eigen::Index, double>>> slopes;
  std::vector<double> intercept;
};

Result<Points> ReadPoints(const Query& query, Eigen::Index p) {
  const auto offset = ReadInput(query, "offset", -1, 1);
  CONSILIUM_TRY(offset);
  const Eigen::Index count = (*offset)->rows() - 1;
  if (count < 1 || count > kPointsMax) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("step {}: {} points; expected 1 to {}", query.step, count, kPointsMax));
  }
  const auto intercept = ReadInput(query, "intercept", count, 1);
  CONSILIUM_TRY(intercept);
  const auto column = ReadIndices(query, "column", p);
  CONSILIUM_TRY(column);
  const auto beta = ReadInput(query, "beta", static_cast<Eigen::Index>(column->size()), 1);
  CONSILIUM_TRY(beta);
  Points points;
  double from = 0;
  for (Eigen::Index l = 0; l < count; ++l) {
    const double to = (**offset)(l + 1, 0);
    if ((**offset)(l, 0) != from || !(to >= from && to <= static_cast<double>(column->size())) ||
        to != std::floor(to) || !std::isfinite((**intercept)(l, 0))) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("step {}: block 'offset' or 'intercept' is malformed at point {}",
                              query.step, l));
    }
    std::vector<std::pair<Eigen::Index, double>> slopes;
    for (auto k = static_cast<std::size_t>(from); k < static_cast<std::size_t>(to); ++k) {
      const double value = (**beta)(static_cast<Eigen::Index>(k), 0);
      if (!std::isfinite(value))
        return Fail(ErrorCode::kInvalidArgument,
                    fmt::format("step {}: a slope is not finite", query.step));
      slopes.emplace_back((*column)[k], value);
    }
    points.slopes.push_back(std::move(slopes));
    points.intercept.push_back((**intercept)(l, 0));
    from = to;
  }
  return points;
}

Eigen::VectorXd LinearPredictor(const Eigen::MatrixXd& z, const Points& points, std::size_t at) {
  Eigen::VectorXd eta = Eigen::VectorXd::Constant(z.rows(), points.intercept[at]);
  for (const auto& [j, beta] : points.slopes[at]) eta += beta * z.col(j);
  return eta;
}

struct CurvatureRequest {
  Eigen::Index at = -1;
  std::vector<int> columns;
};

Result<CurvatureRequest> ReadCurvature(const Query& query, Eigen::Index p) {
  const auto at = ReadInput(query, "curvature_at", 1, 1);
  CONSILIUM_TRY(at);
  CurvatureRequest request;
  request.at = static_cast<Eigen::Index>((**at)(0, 0));
  auto columns = ReadIndices(query, "curvature_columns", p);
  CONSILIUM_TRY(columns);
  request.columns = std::move(*columns);
  const auto offset = ReadInput(query, "offset", -1, 1);
  CONSILIUM_TRY(offset);
  if (request.at < -1 || request.at >= (*offset)->rows() - 1) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("step {}: curvature_at names no point", query.step));
  }
  return request;
}

Result<Eigen::Index> DesignColumns(const Query& query) {
  const auto columns = ReadInput(query, "columns_of_design", 1, 1);
  CONSILIUM_TRY(columns);
  const double value = (**columns)(0, 0);
  if (!(value >= 1 && value <= 1e6))
    return Fail(ErrorCode::kInvalidArgument, "lasso: columns_of_design is out of range");
  return static_cast<Eigen::Index>(value);
}

Result<std::vector<BlockLayout>> EvaluateLayout(const Query& query) {
  const auto p = DesignColumns(query);
  CONSILIUM_TRY(p);
  const auto offset = ReadInput(query, "offset", -1, 1);
  CONSILIUM_TRY(offset);
  const Eigen::Index count = (*offset)->rows() - 1;
  if (count < 1 || count > kPointsMax)
    return Fail(ErrorCode::kInvalidArgument, "lasso.evaluate: no points, or too many");
  std::vector<BlockLayout> layout = {{"gradient", *p, count, kGradientWords},
                                     {"score", 1, count, kGradientWords},
                                     {"loss", 1, count, kLossWords},
                                     {"left_out_deviance", 1, count, kLossWords}};
  const auto request = ReadCurvature(query, *p);
  CONSILIUM_TRY(request);
  if (request->at >= 0) {
    const auto order = static_cast<Eigen::Index>(request->columns.size()) + 1;
    layout.push_back({"curvature", order * (order + 1) / 2, 1, kCurvatureWords});
  }
  return layout;
}

Result<Disclosure> EvaluateDisclosure(const Query& query) {
  const auto p = DesignColumns(query);
  CONSILIUM_TRY(p);
  const auto request = ReadCurvature(query, *p);
  CONSILIUM_TRY(request);
  const auto rows = ReadInput(query, "rows_of_sum", 1, 1);
  CONSILIUM_TRY(rows);
  Disclosure disclosure;
  disclosure.rows_of_sum = (**rows)(0, 0);
  if (request->at >= 0) {
    const auto points = ReadPoints(query, *p);
    CONSILIUM_TRY(points);
    const auto at = static_cast<std::size_t>(request->at);
    disclosure.curvature_columns = static_cast<std::int64_t>(request->columns.size()) + 1;
    disclosure.curvature_at_null_point = points->slopes[at].empty();
    ByteWriter writer;
    writer.F64(points->intercept[at]);
    for (const auto& [j, beta] : points->slopes[at]) {
      writer.I64(j);
      writer.F64(beta);
    }
    disclosure.curvature_point = Sha256(writer.bytes());
  }
  return disclosure;
}

// glmnet's cross-validated deviance of one row: probabilities are kept away from 0 and 1.
double ClampedDeviance(double eta, bool event) {
  const double probability =
      std::clamp(Expit(eta), kGlmnetProbabilityFloor, 1 - kGlmnetProbabilityFloor);
  return -2 * Log(event ? probability : 1 - probability);
}

Result<Answer> EvaluateAnswer(const Context& context, const Derived& derived, const Query& query) {
  const Design* design = derived.Find<Design>(query.scope.fit, kDesign);
  if (design == nullptr) {
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format(
            "site {}: fit '{}' has no design yet; lasso.design must come before lasso.evaluate",
            context.cohort.site, query.scope.fit));
  }
  const Eigen::Index n = design->training.rows(), p = design->training.cols();
  const auto declared = DesignColumns(query);
  CONSILIUM_TRY(declared);
  if (*declared != p)
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("lasso.evaluate: {} columns; the design has {}", *declared, p));
  const auto points = ReadPoints(query, p);
  CONSILIUM_TRY(points);
  const auto request = ReadCurvature(query, p);
  CONSILIUM_TRY(request);
  const auto rows_of_sum = ReadInput(query, "rows_of_sum", 1, 1);
  CONSILIUM_TRY(rows_of_sum);
  const auto count = static_cast<Eigen::Index>(points->intercept.size());
  Eigen::MatrixXd residual(n, count);
  Eigen::MatrixXd score(1, count), loss(1, count), left_out_deviance(1, count);
  Eigen::VectorXd weight;  // p (1 - p) at the curvature's point
  for (Eigen::Index l = 0; l < count; ++l) {
    const Eigen::VectorXd eta =
        LinearPredictor(design->training, *points, static_cast<std::size_t>(l));
    double score_sum = 0, loss_sum = 0;
    if (l == request->at) weight.resize(n);
    for (Eigen::Index i = 0; i < n; ++i) {
      const double probability = Expit(eta(i));
      residual(i, l) = design->outcome(i) - probability;
      score_sum += residual(i, l);
      loss_sum += SoftPlus(eta(i)) - design->outcome(i) * eta(i);
      if (l == request->at) weight(i) = probability * (1 - probability);
    }
    score(0, l) = score_sum;
    loss(0, l) = loss_sum;
    double deviance_sum = 0;
    const Eigen::VectorXd left_out_eta =
        LinearPredictor(design->left_out, *points, static_cast<std::size_t>(l));
    for (Eigen::Index i = 0; i < left_out_eta.size(); ++i) {
      deviance_sum += ClampedDeviance(left_out_eta(i), design->left_out_outcome(i) > 0.5);
    }
    left_out_deviance(0, l) = deviance_sum;
  }
  Eigen::MatrixXd gradient = Eigen::MatrixXd::Zero(p, count);
  if (n > 0) gradient.noalias() = design->training.transpose() * residual;
  Answer answer{{{"gradient", std::move(gradient)},
                 {"score", score},
                 {"loss", loss},
                 {"left_out_deviance", left_out_deviance}}};
  if (request->at >= 0) {
    const auto order = static_cast<Eigen::Index>(request->columns.size()) + 1;
    Eigen::MatrixXd packed = Eigen::MatrixXd::Zero(order * (order + 1) / 2, 1);
    if (n > 0) {
      Eigen::MatrixXd half(
          n, order);  // rows times sqrt(weight / n of the sum): the products are the mean curvature
      const Eigen::VectorXd root = (weight / (**rows_of_sum)(0, 0)).cwiseSqrt();
      half.col(0) = root;
      for (Eigen::Index k = 1; k < order; ++k) {
        half.col(k) = design->training.col(request->columns[static_cast<std::size_t>(k - 1)])
                          .cwiseProduct(root);
      }
      Eigen::MatrixXd product = Eigen::MatrixXd::Zero(order, order);
      product.selfadjointView<Eigen::Upper>().rankUpdate(half.transpose());
      Eigen::Index at = 0;
      for (Eigen::Index j = 0; j < order; ++j) {
        for (Eigen::Index i = 0; i <= j; ++i) packed(at++, 0) = product(i, j);
      }
    }
    answer.blocks.push_back({"curvature", std::move(packed)});
  }
  return answer;
}

// The design of fold f + 1 of the group that the query names.
Result<const Design*> FoldDesign(const Context& context, const Derived& derived, const Query& query,
                                 std::size_t f, Eigen::Index p) {
  const std::string fit = fmt::format("{}/fold={}", query.scope.fit, f + 1);
  const Design* design = derived.Find<Design>(fit, kDesign);
  if (design == nullptr || design->left_out.cols() != p) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("site {}: fold fit '{}' has no design with {} columns",
                            context.cohort.site, fit, p));
  }
  return design;
}

// ---- internal discrimination
// ------------------------------------------------------------------------

Result<std::vector<BlockLayout>> InternalLayout(const Query&) {
  return std::vector<BlockLayout>{{"u", 1, 1, kPairWords},
                                  {"pairs", 1, 1, kPairWords},
                                  {"weighted_variance", 1, 1, kVarianceWords},
                                  {"pairs_with_variance", 1, 1, kPairWords},
                                  {"centers_without_variance", 1, 1, kCountWords},
                                  {"histogram", kHistogramBins, 2, kCountWords}};
}

Result<Answer> InternalAnswer(const Context& context, const Derived& derived, const Query& query) {
  const auto p = DesignColumns(query);
  CONSILIUM_TRY(p);
  const auto points = ReadPoints(query, *p);
  CONSILIUM_TRY(points);
  std::vector<double> scores, outcomes;
  Eigen::MatrixXd histogram = Eigen::MatrixXd::Zero(kHistogramBins, 2);
  if (context.IsMember(query.scope)) {
    for (std::size_t f = 0; f < points->intercept.size(); ++f) {
      const auto found = FoldDesign(context, derived, query, f, *p);
      CONSILIUM_TRY(found);
      const Design* design = *found;
      const Eigen::VectorXd eta = LinearPredictor(design->left_out, *points, f);
      for (Eigen::Index i = 0; i < eta.size(); ++i) {
        const bool event = design->left_out_outcome(i) > 0.5;
        scores.push_back(eta(i));
        outcomes.push_back(event ? 1.0 : 0.0);
        const int bin =
            std::min(kHistogramBins - 1, static_cast<int>(Expit(eta(i)) * kHistogramBins));
        histogram(bin, event ? 1 : 0) += 1;
      }
    }
  }
  double u = 0, pairs = 0, weighted_variance = 0, pairs_with_variance = 0, without = 0;
  if (!scores.empty()) {
    const auto components = ComputeAuc(scores, outcomes);
    CONSILIUM_TRY(components);
    const auto m = static_cast<double>(components->events),
               k = static_cast<double>(components->nonevents);
    u = components->u;
    pairs = m * k;
    if (m >= 2 && k >= 2) {
      weighted_variance = pairs * pairs * (components->s10 / m + components->s01 / k);
      pairs_with_variance = pairs;
    } else {
      without = 1;
    }
  }
  return Answer{{{"u", Scalar(u)},
                 {"pairs", Scalar(pairs)},
                 {"weighted_variance", Scalar(weighted_variance)},
                 {"pairs_with_variance", Scalar(pairs_with_variance)},
                 {"centers_without_variance", Scalar(without)},
                 {"histogram", histogram}}};
}

// ---- influence --------------------------------------------------------------------------------

Result<std::vector<BlockLayout>> InfluenceLayout(const Query&) {
  return std::vector<BlockLayout>{{"deciding_rows", 1, 1, kCountWords}};
}

Result<Answer> InfluenceAnswer(const Context& context, const Derived& derived, const Query& query) {
  const auto p = DesignColumns(query);
  CONSILIUM_TRY(p);
  const auto points = ReadPoints(query, *p);
  CONSILIUM_TRY(points);
  const auto summed = ReadInput(query, "summed_deviance", -1, 1);
  CONSILIUM_TRY(summed);
  const Eigen::Index lambdas = (*summed)->rows();
  const auto lambda = ReadInput(query, "lambda", lambdas, 1);
  CONSILIUM_TRY(lambda);
  const auto chosen = ReadIndices(query, "chosen", lambdas);
  CONSILIUM_TRY(chosen);
  if (chosen->size() != 1 || points->intercept.size() % static_cast<std::size_t>(lambdas) != 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "lasso.influence: expected one chosen lambda and a whole path for each fold");
  }
  const std::size_t folds = points->intercept.size() / static_cast<std::size_t>(lambdas);
  double deciding = 0;
  for (std::size_t f = 0; f < folds; ++f) {
    const auto found = FoldDesign(context, derived, query, f, *p);
    CONSILIUM_TRY(found);
    const Design* design = *found;
    Eigen::MatrixXd deviance(design->left_out.rows(), lambdas);
    for (Eigen::Index l = 0; l < lambdas; ++l) {
      const Eigen::VectorXd eta =
          LinearPredictor(design->left_out, *points,
                          f * static_cast<std::size_t>(lambdas) + static_cast<std::size_t>(l));
      for (Eigen::Index i = 0; i < eta.size(); ++i) {
        deviance(i, l) = ClampedDeviance(eta(i), design->left_out_outcome(i) > 0.5);
      }
    }
    for (Eigen::Index i = 0; i < deviance.rows(); ++i) {
      Eigen::Index best = 0;  // without the row
      for (Eigen::Index l = 1; l < lambdas; ++l) {
        if ((**summed)(l, 0) - deviance(i, l) < (**summed)(best, 0) - deviance(i, best)) best = l;
      }
      const double moved = (**lambda)(best, 0) / (**lambda)(chosen->front(), 0);
      if (moved > kDecidingFactor || moved < 1 / kDecidingFactor) deciding += 1;
    }
  }
  return Answer{{{"deciding_rows", Scalar(deciding)}}};
}

}  // namespace

void RegisterLassoSteps(federation::StepRegistry& registry) {
  federation::Step design;
  design.name = "lasso.design";
  design.layout = DesignLayout;
  design.derived_name = kDesign;
  design.derive = DeriveDesign;
  design.answer = DesignAnswer;
  registry.Add(std::move(design));

  federation::Step evaluate;
  evaluate.name = "lasso.evaluate";
  evaluate.layout = EvaluateLayout;
  evaluate.disclosure = EvaluateDisclosure;
  evaluate.answer = EvaluateAnswer;
  registry.Add(std::move(evaluate));

  registry.AddSum("lasso.internal", InternalLayout, InternalAnswer);
  registry.AddSum("lasso.influence", InfluenceLayout, InfluenceAnswer);
}

}  // namespace consilium::learning
