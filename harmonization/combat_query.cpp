#include "harmonization/combat_query.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <set>

namespace consilium::harmonization::internal {
namespace {

using federation::Block;
using federation::Query;

constexpr double kPositionMax = 1 << 24;

Block Integers(const char* name, const std::vector<int>& values) {
  Block block{name, Eigen::MatrixXd(static_cast<Eigen::Index>(values.size()), 1)};
  for (std::size_t i = 0; i < values.size(); ++i) {
    block.values(static_cast<Eigen::Index>(i), 0) = values[i];
  }
  return block;
}

Error Malformed(const Query& query, std::string_view name, std::string_view expected) {
  return Error{
      ErrorCode::kInvalidArgument,
      fmt::format("query {}, input '{}': expected {}; coordinator and site may run different "
                  "versions",
                  query.step, name, expected)};
}

Result<Eigen::MatrixXd> Numbers(const Query& query, const char* name, Eigen::Index rows,
                                Eigen::Index cols) {
  const Eigen::MatrixXd* found = federation::Find(query.inputs, name);
  if (found == nullptr || found->rows() != rows || found->cols() != cols ||
      !found->array().isFinite().all()) {
    return tl::unexpected<Error>(
        Malformed(query, name, fmt::format("a block of {} x {} finite numbers", rows, cols)));
  }
  return *found;
}

// A column of whole numbers in [low, high]; count < 0: any number of them.
Result<std::vector<int>> ReadIntegers(const Query& query, const char* name, Eigen::Index count,
                                      double low, double high) {
  const Eigen::MatrixXd* found = federation::Find(query.inputs, name);
  const bool has_shape =
      found != nullptr && found->cols() == 1 && (count < 0 || found->rows() == count);
  if (!has_shape) return tl::unexpected<Error>(Malformed(query, name, "a column of whole numbers"));
  std::vector<int> values;
  for (Eigen::Index i = 0; i < found->rows(); ++i) {
    const double value = (*found)(i, 0);
    if (!(value >= low && value <= high) || value != std::floor(value)) {
      return tl::unexpected<Error>(
          Malformed(query, name, fmt::format("whole numbers from {} to {}", low, high)));
    }
    values.push_back(static_cast<int>(value));
  }
  return values;
}

Result<std::vector<int>> ReadPositions(const Query& query, const char* name, double high) {
  auto values = ReadIntegers(query, name, -1, 0, high);
  if (values && std::set<int>(values->begin(), values->end()).size() != values->size()) {
    return tl::unexpected<Error>(Malformed(query, name, "no position twice"));
  }
  return values;
}

void AddSelection(const Selection& selection, Query& query) {
  query.inputs.push_back(Integers("columns", selection.columns));
  query.inputs.push_back(Integers("exponent", selection.exponent));
  query.inputs.push_back(Integers("covariates", selection.covariates));
  query.inputs.push_back(Integers("covariate_exponent", selection.covariate_exponent));
  query.inputs.push_back(Integers("missing_allowed", {selection.missing_allowed ? 1 : 0}));
  query.inputs.push_back({"rows", Eigen::MatrixXd::Constant(1, 1, selection.rows)});
}

}  // namespace

double PowerOfTwo(int exponent) {
  CONSILIUM_CHECK(exponent >= -1022 && exponent <= 1022, "a power of two must be a normal double");
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

Query MomentsQuery(const federation::Scope& scope, const Selection& selection) {
  Query query{kMomentsStep, scope, {}};
  AddSelection(selection, query);
  return query;
}

Query ResidualsQuery(const federation::Scope& scope, const ResidualsInputs& inputs) {
  Query query{kResidualsStep, scope, {}};
  AddSelection(inputs.selection, query);
  query.inputs.push_back({"alpha", inputs.alpha});
  query.inputs.push_back({"beta", inputs.beta});
  return query;
}

Query ApplyQuery(const federation::Scope& scope, const ApplyInputs& inputs) {
  Query query{kApplyStep, scope, {}};
  query.inputs.push_back(Integers("columns", inputs.columns));
  query.inputs.push_back(Integers("positions", inputs.positions));
  query.inputs.push_back(Integers("covariates", inputs.covariates));
  query.inputs.push_back({"alpha", inputs.model.alpha});
  query.inputs.push_back({"alpha_low", inputs.model.alpha_low});
  query.inputs.push_back({"beta", inputs.model.beta});
  query.inputs.push_back({"var_pooled", inputs.model.var_pooled});
  const EmpiricalBayesOptions& bayes = inputs.options.bayes;
  query.inputs.push_back(
      Integers("options", {static_cast<int>(bayes.shrinkage), static_cast<int>(bayes.scaling),
                           static_cast<int>(bayes.stop), inputs.options.scale_rows_min}));
  return query;
}

Result<Selection> ReadSelection(const Query& query) {
  Selection selection;
  auto columns = ReadPositions(query, "columns", kPositionMax);
  if (!columns) return tl::unexpected<Error>(columns.error());
  selection.columns = std::move(*columns);
  auto covariates = ReadPositions(query, "covariates", kPositionMax);
  if (!covariates) return tl::unexpected<Error>(covariates.error());
  selection.covariates = std::move(*covariates);
  auto exponent =
      ReadIntegers(query, "exponent", selection.feature_count(), -kExponentMax, kExponentMax);
  if (!exponent) return tl::unexpected<Error>(exponent.error());
  selection.exponent = std::move(*exponent);
  auto of_covariates = ReadIntegers(query, "covariate_exponent", selection.covariate_count(),
                                    -kExponentMax, kExponentMax);
  if (!of_covariates) return tl::unexpected<Error>(of_covariates.error());
  selection.covariate_exponent = std::move(*of_covariates);
  const auto missing = ReadIntegers(query, "missing_allowed", 1, 0, 1);
  if (!missing) return tl::unexpected<Error>(missing.error());
  selection.missing_allowed = missing->front() == 1;
  const auto rows = Numbers(query, "rows", 1, 1);
  if (!rows) return tl::unexpected<Error>(rows.error());
  selection.rows = (*rows)(0, 0);
  return selection;
}

Result<ResidualsInputs> ReadResiduals(const Query& query) {
  ResidualsInputs inputs;
  auto selection = ReadSelection(query);
  if (!selection) return tl::unexpected<Error>(selection.error());
  inputs.selection = std::move(*selection);
  const Eigen::Index features = inputs.selection.feature_count();
  const auto alpha = Numbers(query, "alpha", features, 1);
  if (!alpha) return tl::unexpected<Error>(alpha.error());
  inputs.alpha = *alpha;
  auto beta = Numbers(query, "beta", inputs.selection.covariate_count(), features);
  if (!beta) return tl::unexpected<Error>(beta.error());
  inputs.beta = std::move(*beta);
  return inputs;
}

Result<ApplyInputs> ReadApply(const Query& query) {
  ApplyInputs inputs;
  auto columns = ReadPositions(query, "columns", kPositionMax);
  if (!columns) return tl::unexpected<Error>(columns.error());
  inputs.columns = std::move(*columns);
  auto positions =
      ReadPositions(query, "positions", static_cast<double>(inputs.columns.size()) - 1);
  if (!positions) return tl::unexpected<Error>(positions.error());
  inputs.positions = std::move(*positions);
  auto covariates = ReadPositions(query, "covariates", kPositionMax);
  if (!covariates) return tl::unexpected<Error>(covariates.error());
  inputs.covariates = std::move(*covariates);
  const auto features = static_cast<Eigen::Index>(inputs.positions.size());
  const auto alpha = Numbers(query, "alpha", features, 1);
  if (!alpha) return tl::unexpected<Error>(alpha.error());
  inputs.model.alpha = *alpha;
  const auto alpha_low = Numbers(query, "alpha_low", features, 1);
  if (!alpha_low) return tl::unexpected<Error>(alpha_low.error());
  inputs.model.alpha_low = *alpha_low;
  auto beta = Numbers(query, "beta", static_cast<Eigen::Index>(inputs.covariates.size()), features);
  if (!beta) return tl::unexpected<Error>(beta.error());
  inputs.model.beta = std::move(*beta);
  const auto var_pooled = Numbers(query, "var_pooled", features, 1);
  if (!var_pooled) return tl::unexpected<Error>(var_pooled.error());
  inputs.model.var_pooled = *var_pooled;
  if ((inputs.model.var_pooled.array() <= 0).any()) {
    return tl::unexpected<Error>(Malformed(query, "var_pooled", "variances above 0"));
  }
  const auto options = ReadIntegers(query, "options", 4, 0, 1 << 20);
  if (!options) return tl::unexpected<Error>(options.error());
  const bool known = (*options)[0] <= 1 && (*options)[1] <= 2 && (*options)[2] <= 1;
  if (!known || (*options)[3] < 2) {
    return tl::unexpected<Error>(Malformed(
        query, "options", "shrinkage, scaling, stop rule and the rows of a scale (>= 2)"));
  }
  inputs.options.bayes.shrinkage = static_cast<Shrinkage>((*options)[0]);
  inputs.options.bayes.scaling = static_cast<Scaling>((*options)[1]);
  inputs.options.bayes.stop = static_cast<StopRule>((*options)[2]);
  inputs.options.scale_rows_min = (*options)[3];
  return inputs;
}

}  // namespace consilium::harmonization::internal
