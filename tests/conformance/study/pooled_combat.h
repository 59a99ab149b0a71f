// ComBat on rows in one place: the regression on one dummy a center, solved by QR in long double,
// in place of the sums over sites that the program uses. Empirical Bayes is the project's own
// function, which tests/conformance/combat compares with the published programs.
#pragma once

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <Eigen/QR>
#include <vector>

#include "harmonization/combat.h"
#include "tests/conformance/study/pooled_rows.h"

namespace consilium::testing_support {

struct PooledCombat {
  harmonization::StandardizingModel model;  // of the adjusted columns, no covariates
  std::vector<Eigen::Index> adjusted;       // those with spread in every training center
};

inline PooledCombat FitPooledCombat(const std::vector<PooledRows>& parts) {
  PooledCombat combat;
  const PooledRows all = Stack(parts);
  LongMatrix dummies = LongMatrix::Zero(all.x.rows(), static_cast<Eigen::Index>(parts.size()));
  Eigen::Index at = 0;
  for (std::size_t s = 0; s < parts.size(); ++s) {
    dummies.block(at, static_cast<Eigen::Index>(s), parts[s].x.rows(), 1).setOnes();
    at += parts[s].x.rows();
  }
  for (Eigen::Index j = 0; j < all.x.cols(); ++j) {
    bool spread = true;
    for (const PooledRows& part : parts) {
      spread = spread && !harmonization::HasNoSpread(part.x.col(j));
    }
    if (spread) combat.adjusted.push_back(j);
  }
  const LongMatrix y = all.x(Eigen::all, combat.adjusted).cast<long double>();
  const LongMatrix intercepts = dummies.colPivHouseholderQr().solve(y);
  const auto n = static_cast<long double>(all.x.rows());
  const LongVector alpha = (dummies.colwise().sum() * intercepts).transpose() / n;
  combat.model.alpha = alpha.cast<double>();
  combat.model.alpha_low = (alpha - combat.model.alpha.cast<long double>()).cast<double>();
  combat.model.beta.resize(0, alpha.size());
  combat.model.var_pooled =
      ((y - dummies * intercepts).colwise().squaredNorm().transpose() / n).cast<double>();
  return combat;
}

// A training center's rows [n x p], harmonized with its own empirical Bayes.
inline Eigen::MatrixXd HarmonizedMember(const PooledCombat& combat, const Eigen::MatrixXd& x) {
  const Eigen::MatrixXd features = x(Eigen::all, combat.adjusted);
  const Eigen::MatrixXd none(x.rows(), 0);
  const auto estimates = harmonization::Shrink(
      harmonization::Summarize(harmonization::Standardize(features, none, combat.model)));
  EXPECT_TRUE(estimates.has_value()) << (estimates ? "" : estimates.error().message);
  Eigen::MatrixXd y = x;
  if (!estimates) return y;
  y(Eigen::all, combat.adjusted) = harmonization::Adjust(
      features, none, combat.model, estimates->gamma_star, estimates->delta_star);
  return y;
}

// A held-out center's rows [n x p], harmonized against the frozen model.
inline Eigen::MatrixXd HarmonizedHeldOut(const PooledCombat& combat, const Eigen::MatrixXd& x) {
  const auto frozen = harmonization::ApplyFrozen(x(Eigen::all, combat.adjusted),
                                                 Eigen::MatrixXd(x.rows(), 0), combat.model, {});
  EXPECT_TRUE(frozen.has_value()) << (frozen ? "" : frozen.error().message);
  Eigen::MatrixXd y = x;
  if (frozen) y(Eigen::all, combat.adjusted) = frozen->adjusted;
  return y;
}

}  // namespace consilium::testing_support
