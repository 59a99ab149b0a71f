#include "learning/moments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "federation/fixed_point.h"

namespace consilium::learning {
namespace {

using federation::Answer;
using federation::AnswerBlock;
using federation::Block;
using federation::BlockLayout;
using federation::Context;
using federation::Derived;
using federation::ExactSum;
using federation::Query;
using federation::Scope;
using federation::Sums;
using federation::Task;
using federation::Total;
using federation::WordFormat;

constexpr int kExponentMin = -80;
constexpr int kExponentCount = 160;  // 2^-80 .. 2^79
constexpr WordFormat kCounts{32, 0};
constexpr WordFormat kExact{128, 96};
constexpr WordFormat kProducts{64, 38};
constexpr double kDuplicateGap = 1e-8;  // 1 - |r|

Eigen::MatrixXd Scalar(double value) { return Eigen::MatrixXd::Constant(1, 1, value); }

Eigen::Index InputLength(const Query& query, std::string_view name) {
  const Eigen::MatrixXd* found = federation::Find(query.inputs, name);
  return found == nullptr ? 0 : found->rows();
}

// ---- extent
// ---------------------------------------------------------------------------------------

Result<std::vector<BlockLayout>> ExtentLayout(const Query& query) {
  const auto folds = ReadInput(query, "fold_count", 1, 1);
  CONSILIUM_TRY(folds);
  const double fold_count = (**folds)(0, 0);
  if (!(fold_count >= 1 && fold_count <= 1000)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("moments.extent: fold_count is {}; expected 1 to 1000", fold_count));
  }
  const Eigen::Index p = InputLength(query, "columns");
  return std::vector<BlockLayout>{
      {"fold_counts", static_cast<Eigen::Index>(fold_count), 2, kCounts},
      {"missing", p, 1, kCounts},
      {"exponents", p, kExponentCount, kCounts}};
}

Result<Answer> ExtentAnswer(const Context& context, const Derived&, const Query& query) {
  const auto layout = ExtentLayout(query);
  CONSILIUM_TRY(layout);
  const auto columns = ReadIndices(query, "columns", context.cohort.features.cols());
  CONSILIUM_TRY(columns);
  const auto rows = context.Rows(query.scope).rows;
  Eigen::MatrixXd fold_counts = Eigen::MatrixXd::Zero((*layout)[0].rows, 2);
  for (const Eigen::Index i : rows) {
    const int fold = context.cohort.fold[static_cast<std::size_t>(i)];
    if (fold < 1 || fold > fold_counts.rows()) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("site {}: a row is in fold {}; the study has folds 1 to {}; correct "
                              "the fold column of the cohort file",
                              context.cohort.site, fold, fold_counts.rows()));
    }
    fold_counts(fold - 1, context.cohort.outcome(i) > 0.5 ? 1 : 0) += 1;
  }
  const auto p = static_cast<Eigen::Index>(columns->size());
  Eigen::MatrixXd missing = Eigen::MatrixXd::Zero(p, 1);
  Eigen::MatrixXd exponents = Eigen::MatrixXd::Zero(p, kExponentCount);
  for (Eigen::Index j = 0; j < p; ++j) {
    double largest = 0;
    for (const Eigen::Index i : rows) {
      const double value = context.cohort.features(i, (*columns)[static_cast<std::size_t>(j)]);
      if (std::isnan(value)) {
        missing(j, 0) += 1;
      } else {
        largest = std::max(largest, std::fabs(value));
      }
    }
    if (rows.empty()) continue;
    int exponent = kExponentMin;
    if (largest > 0) exponent = std::max(kExponentMin, std::ilogb(largest) + 1);
    if (exponent >= kExponentMin + kExponentCount) {
      return Fail(
          ErrorCode::kOutOfRange,
          fmt::format(
              "site {}: column '{}' holds a value beyond 2^79; expected a finite radiomics value; "
              "exclude the column in the study or mark the cell as missing in the cohort file",
              context.cohort.site,
              context.cohort.feature_names[static_cast<std::size_t>(
                  (*columns)[static_cast<std::size_t>(j)])]));
    }
    exponents(j, exponent - kExponentMin) = 1;
  }
  return Answer{{{"fold_counts", fold_counts}, {"missing", missing}, {"exponents", exponents}}};
}

// ---- means and spreads
// ------------------------------------------------------------------------------

struct ScaledInputs {
  std::vector<int> columns;
  const Eigen::MatrixXd* exponent = nullptr;
};

Result<ScaledInputs> ReadScaled(const Context& context, const Query& query) {
  auto columns = ReadIndices(query, "columns", context.cohort.features.cols());
  CONSILIUM_TRY(columns);
  const auto exponent = ReadInput(query, "exponent", static_cast<Eigen::Index>(columns->size()), 1);
  CONSILIUM_TRY(exponent);
  return ScaledInputs{std::move(*columns), *exponent};
}

Result<std::vector<BlockLayout>> MeanLayout(const Query& query) {
  return std::vector<BlockLayout>{{"rows", 1, 1, kCounts},
                                  {"sum", InputLength(query, "columns"), 1, kExact}};
}

Result<Answer> MeanAnswer(const Context& context, const Derived& derived, const Query& query) {
  const auto inputs = ReadScaled(context, query);
  CONSILIUM_TRY(inputs);
  const auto rows = context.Rows(query.scope).rows;
  const auto values = FeatureValues(context, derived, query.scope.fit, inputs->columns, rows);
  CONSILIUM_TRY(values);
  std::vector<Int128> sums;
  sums.reserve(inputs->columns.size());
  for (Eigen::Index j = 0; j < values->cols(); ++j) {
    ExactSum sum(kExact.fraction_bits);
    const int exponent = static_cast<int>((*inputs->exponent)(j, 0));
    for (Eigen::Index i = 0; i < values->rows(); ++i)
      sum.Add(std::ldexp((*values)(i, j), -exponent));
    sums.push_back(sum.units());
  }
  return Answer{{{"rows", Scalar(static_cast<double>(rows.size()))}, {"sum", std::move(sums)}}};
}

Result<std::vector<BlockLayout>> SpreadLayout(const Query& query) {
  return std::vector<BlockLayout>{{"squares", InputLength(query, "columns"), 1, kExact}};
}

Result<Answer> SpreadAnswer(const Context& context, const Derived& derived, const Query& query) {
  const auto inputs = ReadScaled(context, query);
  CONSILIUM_TRY(inputs);
  const auto mean =
      ReadInput(query, "scaled_mean", static_cast<Eigen::Index>(inputs->columns.size()), 1);
  CONSILIUM_TRY(mean);
  const auto rows = context.Rows(query.scope).rows;
  const auto values = FeatureValues(context, derived, query.scope.fit, inputs->columns, rows);
  CONSILIUM_TRY(values);
  std::vector<Int128> squares;
  squares.reserve(inputs->columns.size());
  for (Eigen::Index j = 0; j < values->cols(); ++j) {
    ExactSum sum(kExact.fraction_bits);
    const int exponent = static_cast<int>((*inputs->exponent)(j, 0));
    for (Eigen::Index i = 0; i < values->rows(); ++i) {
      const double deviation = std::ldexp((*values)(i, j), -exponent) - (**mean)(j, 0);
      sum.Add(deviation * deviation);
    }
    squares.push_back(sum.units());
  }
  return Answer{{{"squares", std::move(squares)}}};
}

// ---- duplicates
// -------------------------------------------------------------------------------------

Result<Eigen::MatrixXd> Standardized(const Context& context, const Derived& derived,
                                     const Query& query) {
  const auto columns = ReadIndices(query, "columns", context.cohort.features.cols());
  CONSILIUM_TRY(columns);
  const auto p = static_cast<Eigen::Index>(columns->size());
  const auto mean = ReadInput(query, "mean", p, 1);
  CONSILIUM_TRY(mean);
  const auto sd = ReadInput(query, "sd", p, 1);
  CONSILIUM_TRY(sd);
  auto values =
      FeatureValues(context, derived, query.scope.fit, *columns, context.Rows(query.scope).rows);
  CONSILIUM_TRY(values);
  for (Eigen::Index j = 0; j < p; ++j) {
    for (Eigen::Index i = 0; i < values->rows(); ++i) {
      (*values)(i, j) = ((*values)(i, j) - (**mean)(j, 0)) / (**sd)(j, 0);
    }
  }
  return values;
}

Result<std::vector<BlockLayout>> SignatureLayout(const Query& query) {
  return std::vector<BlockLayout>{{"signature", InputLength(query, "columns"), 2, kProducts}};
}

Result<Answer> SignatureAnswer(const Context& context, const Derived& derived, const Query& query) {
  const auto z = Standardized(context, derived, query);
  CONSILIUM_TRY(z);
  Eigen::MatrixXd signature = Eigen::MatrixXd::Zero(z->cols(), 2);
  for (Eigen::Index j = 0; j < z->cols(); ++j) {
    for (Eigen::Index i = 0; i < z->rows(); ++i) {
      const double value = (*z)(i, j);
      signature(j, 0) += std::fabs(value);
      signature(j, 1) += std::min(value * value, 4.0);
    }
  }
  return Answer{{{"signature", signature}}};
}

Result<std::vector<BlockLayout>> PairsLayout(const Query& query) {
  return std::vector<BlockLayout>{{"products", InputLength(query, "left"), 1, kProducts}};
}

Result<Answer> PairsAnswer(const Context& context, const Derived& derived, const Query& query) {
  const auto z = Standardized(context, derived, query);
  CONSILIUM_TRY(z);
  const auto left = ReadIndices(query, "left", z->cols());
  CONSILIUM_TRY(left);
  const auto right = ReadIndices(query, "right", z->cols());
  CONSILIUM_TRY(right);
  if (left->size() != right->size()) {
    return Fail(ErrorCode::kInvalidArgument,
                "moments.pairs: 'left' and 'right' differ in length; expected pairs");
  }
  Eigen::MatrixXd products = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(left->size()), 1);
  for (std::size_t k = 0; k < left->size(); ++k) {
    double sum = 0;
    for (Eigen::Index i = 0; i < z->rows(); ++i) sum += (*z)(i, (*left)[k]) * (*z)(i, (*right)[k]);
    products(static_cast<Eigen::Index>(k), 0) = sum;
  }
  return Answer{{{"products", products}}};
}

Block ExponentBlock(const std::vector<int>& exponent) { return IndexBlock("exponent", exponent); }

}  // namespace

Block IndexBlock(std::string name, const std::vector<int>& positions) {
  Eigen::MatrixXd values(static_cast<Eigen::Index>(positions.size()), 1);
  for (std::size_t i = 0; i < positions.size(); ++i)
    values(static_cast<Eigen::Index>(i), 0) = positions[i];
  return {std::move(name), std::move(values)};
}

Result<std::vector<int>> ReadIndices(const Query& query, std::string_view name,
                                     Eigen::Index bound) {
  const auto block = ReadInput(query, name, -1, 1);
  CONSILIUM_TRY(block);
  std::vector<int> positions;
  positions.reserve(static_cast<std::size_t>((*block)->rows()));
  for (Eigen::Index i = 0; i < (*block)->rows(); ++i) {
    const double value = (**block)(i, 0);
    if (!(value >= 0 && value < static_cast<double>(bound)) || value != std::floor(value)) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("step {}: block '{}' row {} holds {}; expected a whole number from 0 to {}",
                      query.step, name, i, value, bound - 1));
    }
    positions.push_back(static_cast<int>(value));
  }
  return positions;
}

Result<const Eigen::MatrixXd*> ReadInput(const Query& query, std::string_view name,
                                         Eigen::Index rows, Eigen::Index cols) {
  const Eigen::MatrixXd* found = federation::Find(query.inputs, name);
  if (found == nullptr) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("step {}: the query has no block '{}'", query.step, name));
  }
  if ((rows >= 0 && found->rows() != rows) || (cols >= 0 && found->cols() != cols)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("step {}: block '{}' is {} x {}; expected {} x {}", query.step, name,
                            found->rows(), found->cols(), rows, cols));
  }
  return found;
}

Result<Eigen::MatrixXd> FeatureValues(const Context& context, const Derived& derived,
                                      const std::string& fit, const std::vector<int>& columns,
                                      const std::vector<Eigen::Index>& rows) {
  const auto p = static_cast<Eigen::Index>(columns.size());
  const auto* matrix = derived.Find<federation::FeatureMatrix>(fit, federation::kFeatures);
  if (matrix != nullptr && matrix->values.cols() != p) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("fit '{}': the query names {} columns; the fit's derived features have {}", fit,
                    p, matrix->values.cols()));
  }
  Eigen::MatrixXd values(static_cast<Eigen::Index>(rows.size()), p);
  for (Eigen::Index j = 0; j < p; ++j) {
    const auto column = columns[static_cast<std::size_t>(j)];
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const double value =
          matrix != nullptr ? matrix->values(rows[i], j) : context.cohort.features(rows[i], column);
      if (!std::isfinite(value)) {
        return Fail(
            ErrorCode::kFailedPrecondition,
            fmt::format(
                "site {}: column '{}' has a missing or non-finite cell in a row that fit '{}' "
                "uses; expected none after "
                "the missing rule; exclude the column in the study or the row in the cohort file",
                context.cohort.site, context.cohort.feature_names[static_cast<std::size_t>(column)],
                fit));
      }
      values(static_cast<Eigen::Index>(i), j) = value;
    }
  }
  return values;
}

void RegisterMomentSteps(federation::StepRegistry& registry) {
  registry.AddSum("moments.extent", ExtentLayout, ExtentAnswer);
  registry.AddSum("moments.mean", MeanLayout, MeanAnswer);
  registry.AddSum("moments.spread", SpreadLayout, SpreadAnswer);
  registry.AddSum("moments.signature", SignatureLayout, SignatureAnswer);
  registry.AddSum("moments.pairs", PairsLayout, PairsAnswer);
}

Task<Extent> MeasureExtent(Sums& sums, Scope scope, std::vector<int> columns, int fold_count) {
  Query query{"moments.extent",
              std::move(scope),
              {IndexBlock("columns", columns), {"fold_count", Scalar(fold_count)}}};
  auto asked = sums.Of(std::move(query));
  const Total total = co_await asked;
  Extent extent;
  extent.fold_counts = total["fold_counts"];
  extent.missing = total["missing"];
  const Eigen::MatrixXd& exponents = total["exponents"];
  for (Eigen::Index j = 0; j < exponents.rows(); ++j) {
    int largest = kExponentMin;
    for (int e = 0; e < kExponentCount; ++e) {
      if (exponents(j, e) > 0) largest = kExponentMin + e;
    }
    extent.exponent.push_back(largest);
  }
  co_return extent;
}

Task<Moments> MeasureMoments(Sums& sums, Scope scope, std::vector<int> columns,
                             std::vector<int> exponent) {
  Query mean_query{
      "moments.mean", scope, {IndexBlock("columns", columns), ExponentBlock(exponent)}};
  auto asked_mean = sums.Of(std::move(mean_query));
  const Total first = co_await asked_mean;
  Moments moments;
  moments.rows = first["rows"](0, 0);
  if (moments.rows < 2) {
    co_return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("fit '{}': {} training rows; expected at least 2", scope.fit, moments.rows));
  }
  const Eigen::MatrixXd scaled_mean = first["sum"] / moments.rows;
  Query spread_query{
      "moments.spread",
      scope,
      {IndexBlock("columns", columns), ExponentBlock(exponent), {"scaled_mean", scaled_mean}}};
  auto asked_spread = sums.Of(std::move(spread_query));
  const Total second = co_await asked_spread;
  const Eigen::MatrixXd& squares = second["squares"];
  moments.mean.resize(squares.rows());
  moments.sd.resize(squares.rows());
  for (Eigen::Index j = 0; j < squares.rows(); ++j) {
    const int e = exponent[static_cast<std::size_t>(j)];
    moments.mean(j) = std::ldexp(scaled_mean(j, 0), e);
    moments.sd(j) = std::ldexp(std::sqrt(squares(j, 0) / moments.rows), e);
  }
  co_return moments;
}

Task<std::vector<Duplicate>> FindDuplicates(Sums& sums, Scope scope, std::vector<int> columns,
                                            Moments moments) {
  const std::vector<Block> standardization = {
      IndexBlock("columns", columns), {"mean", moments.mean}, {"sd", moments.sd}};
  Query signature_query{"moments.signature", scope, standardization};
  auto asked_signature = sums.Of(std::move(signature_query));
  const Total signatures = co_await asked_signature;
  const Eigen::MatrixXd& signature = signatures["signature"];
  // |r| > 1 - d means ||z_a -+ z_b||^2 < 2 d n, which bounds how far the two signatures can be
  // apart.
  const double reach = 1.01 * moments.rows * std::sqrt(2 * kDuplicateGap);
  std::vector<int> left, right;
  for (int b = 0; b < static_cast<int>(columns.size()); ++b) {
    for (int a = 0; a < b; ++a) {
      if (std::fabs(signature(a, 0) - signature(b, 0)) <= reach &&
          std::fabs(signature(a, 1) - signature(b, 1)) <= 4 * reach) {
        left.push_back(a);
        right.push_back(b);
      }
    }
  }
  std::vector<Duplicate> duplicates;
  if (left.empty()) co_return duplicates;
  Query pairs_query{"moments.pairs", scope, standardization};
  pairs_query.inputs.push_back(IndexBlock("left", left));
  pairs_query.inputs.push_back(IndexBlock("right", right));
  auto asked_pairs = sums.Of(std::move(pairs_query));
  const Total pairs = co_await asked_pairs;
  const Eigen::MatrixXd& products = pairs["products"];
  std::vector<bool> dropped(columns.size(), false);
  for (std::size_t k = 0; k < left.size();
       ++k) {  // ordered by the later column, then the earlier one
    if (dropped[static_cast<std::size_t>(right[k])] || dropped[static_cast<std::size_t>(left[k])])
      continue;
    if (std::fabs(products(static_cast<Eigen::Index>(k), 0)) > (1 - kDuplicateGap) * moments.rows) {
      dropped[static_cast<std::size_t>(right[k])] = true;
      duplicates.push_back({right[k], left[k]});
    }
  }
  co_return duplicates;
}

}  // namespace consilium::learning
