// Moments of feature columns over a training set, from sums: counts, scales, means, spreads,
// duplicates.
//
// Two passes, never a sum of squares minus n mean^2: first the exact sum, then squares about the
// mean. Every row's term is rounded to a fine grid before it is added (128-bit words), so the
// totals do not depend on how rows are cut over sites. Units are binary: a column is divided by
// 2^exponent, a public power of two with |x| <= 2^exponent at every training center. Source: Chan,
// Golub & LeVeque, Am Stat 37(3):242-247, 1983.
#pragma once

#include <string>
#include <vector>

#include "federation/computation.h"
#include "federation/step.h"

namespace consilium::learning {

// Registers "moments.extent", "moments.mean", "moments.spread", "moments.signature",
// "moments.pairs".
void RegisterMomentSteps(federation::StepRegistry& registry);

// What is there: rows by fold and class, missing cells, and the power of two that bounds each
// column.
struct Extent {
  Eigen::MatrixXd fold_counts;  // [F x 2] rows of each fold: not events, events
  Eigen::VectorXd missing;      // [G] cells that are missing
  std::vector<int> exponent;    // [G] largest over the training centers; |x| <= 2^exponent

  [[nodiscard]] double rows() const { return fold_counts.sum(); }
  [[nodiscard]] double events() const { return fold_counts.col(1).sum(); }
};

// columns [G]: positions in the cohort's feature list. Errors: kOutOfRange (a value beyond 2^79:
// the column is named by its position).
[[nodiscard]] federation::Task<Extent> MeasureExtent(federation::Sums& sums,
                                                     federation::Scope scope,
                                                     std::vector<int> columns, int fold_count);

struct Moments {
  double rows = 0;
  Eigen::VectorXd mean;  // [p] in the column's own units
  Eigen::VectorXd sd;    // [p] with divisor n (glmnet's convention)
};

// Of the columns themselves, or of the columns that the fit's earlier steps derived (harmonized
// ones). exponent [p] bounds those values.
[[nodiscard]] federation::Task<Moments> MeasureMoments(federation::Sums& sums,
                                                       federation::Scope scope,
                                                       std::vector<int> columns,
                                                       std::vector<int> exponent);

struct Duplicate {
  int column = 0;  // position in `columns`
  int first = 0;   // the earlier column that stays
};

// Columns whose correlation with an earlier kept column is beyond 1 - 1e-8 in absolute value over
// the training rows. Two rounds: signatures (sum |z|, sum min(z^2, 4)) name the candidates,
// products decide.
[[nodiscard]] federation::Task<std::vector<Duplicate>> FindDuplicates(federation::Sums& sums,
                                                                      federation::Scope scope,
                                                                      std::vector<int> columns,
                                                                      Moments moments);

// Helpers for steps that read feature columns: a [k x 1] input block of positions.
[[nodiscard]] federation::Block IndexBlock(std::string name, const std::vector<int>& positions);
// Errors: kInvalidArgument (no such block, or a position outside [0, bound)).
[[nodiscard]] Result<std::vector<int>> ReadIndices(const federation::Query& query,
                                                   std::string_view name, Eigen::Index bound);
// The input block with this name and shape (-1 = any). Errors: kInvalidArgument.
[[nodiscard]] Result<const Eigen::MatrixXd*> ReadInput(const federation::Query& query,
                                                       std::string_view name, Eigen::Index rows,
                                                       Eigen::Index cols);
// The fit's columns for `rows`: derived ones if the fit has them, else the cohort's at `columns`.
// Errors: kFailedPrecondition (a cell is missing: names the site and the column).
[[nodiscard]] Result<Eigen::MatrixXd> FeatureValues(const federation::Context& context,
                                                    const federation::Derived& derived,
                                                    const std::string& fit,
                                                    const std::vector<int>& columns,
                                                    const std::vector<Eigen::Index>& rows);

}  // namespace consilium::learning
