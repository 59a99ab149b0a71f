// The queries of federated ComBat: one place where they are written and read. Internal to
// harmonization/.
//
// A query carries all its parameters, so that a layout follows from it alone and a replay needs no
// memory.
#pragma once

#include <vector>

#include "federation/block.h"
#include "harmonization/combat.h"

namespace consilium::harmonization::internal {

inline constexpr char kMomentsStep[] = "combat.moments";
inline constexpr char kResidualsStep[] = "combat.residuals";
inline constexpr char kApplyStep[] = "combat.apply";

// Sums travel as 128-bit words with 96 fraction bits, in binary units of the column (|u| <= 1): a
// mean 2^30 sd away from 0 still leaves 36 bits to the squares of a residual, and 2^28 rows still
// fit.
inline constexpr federation::WordFormat kSumFormat{128, 96};
inline constexpr federation::WordFormat kCountFormat{64, 0};
inline constexpr int kExponentMax = 400;

// Which columns a query speaks of, and the powers of two that bound them.
struct Selection {
  std::vector<int> columns;             // [G] positions in Cohort::feature_names
  std::vector<int> exponent;            // [G] |y| <= 2^exponent
  std::vector<int> covariates;          // [p] positions in Cohort::covariate_names
  std::vector<int> covariate_exponent;  // [p]
  bool missing_allowed = false;         // then the covariates' sums are taken feature by feature
  double rows = 0;                      // of the sum, from an earlier total; 0 = not known yet

  [[nodiscard]] Eigen::Index feature_count() const {
    return static_cast<Eigen::Index>(columns.size());
  }
  [[nodiscard]] Eigen::Index covariate_count() const {
    return static_cast<Eigen::Index>(covariates.size());
  }
  [[nodiscard]] Eigen::Index pair_count() const {
    return covariate_count() * (covariate_count() + 1) / 2;
  }
  // Columns of a sum over covariates: one for all features, or one for each.
  [[nodiscard]] Eigen::Index width() const { return missing_allowed ? feature_count() : 1; }
};

struct ResidualsInputs {
  Selection selection;
  Eigen::VectorXd alpha;  // [G] feature units
  Eigen::MatrixXd beta;   // [p x G]
};

struct ApplyInputs {
  std::vector<int>
      columns;  // [C] positions in Cohort::feature_names: the fit's columns, all of them
  std::vector<int>
      positions;  // [G] which of these C are harmonized, ascending in the model's order
  std::vector<int> covariates;  // [p]
  StandardizingModel model;     // of the G
  FrozenOptions options;
};

[[nodiscard]] federation::Query MomentsQuery(const federation::Scope& scope,
                                             const Selection& selection);
[[nodiscard]] federation::Query ResidualsQuery(const federation::Scope& scope,
                                               const ResidualsInputs& inputs);
[[nodiscard]] federation::Query ApplyQuery(const federation::Scope& scope,
                                           const ApplyInputs& inputs);

// Errors of all three: kInvalidArgument (a block is missing, of the wrong shape, or holds something
// that is not a position, an exponent or a finite number: names the step and the block).
[[nodiscard]] Result<Selection> ReadSelection(const federation::Query& query);
[[nodiscard]] Result<ResidualsInputs> ReadResiduals(const federation::Query& query);
[[nodiscard]] Result<ApplyInputs> ReadApply(const federation::Query& query);

// 2^exponent, exactly; |exponent| <= 1022.
[[nodiscard]] double PowerOfTwo(int exponent);

}  // namespace consilium::harmonization::internal
