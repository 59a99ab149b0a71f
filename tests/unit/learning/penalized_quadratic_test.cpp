#include "learning/penalized_quadratic.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace consilium::learning {
namespace {

// A quadratic loss over centred columns X [n x p]: value, gradient and curvature at any point.
struct Quadratic {
  Eigen::MatrixXd x;
  Eigen::VectorXd y;

  [[nodiscard]] PathPoint At(double intercept, const Eigen::VectorXd& beta) const {
    const auto n = static_cast<double>(x.rows());
    const Eigen::VectorXd residual = y - x * beta - Eigen::VectorXd::Constant(x.rows(), intercept);
    PathPoint point;
    point.intercept = intercept;
    point.beta = beta;
    point.loss = residual.squaredNorm() / n / 2;
    point.gradient = x.transpose() * residual / -n;
    point.score = residual.sum() / -n;
    return point;
  }
  [[nodiscard]] Curvature CurvatureOf(const std::vector<int>& columns) const {
    const auto order = static_cast<Eigen::Index>(columns.size()) + 1;
    Eigen::MatrixXd z(x.rows(), order);
    z.col(0).setOnes();
    for (std::size_t k = 0; k < columns.size(); ++k)
      z.col(static_cast<Eigen::Index>(k) + 1) = x.col(columns[k]);
    const Eigen::MatrixXd full = z.transpose() * z / static_cast<double>(x.rows());
    Eigen::MatrixXd packed(order * (order + 1) / 2, 1);
    Eigen::Index at = 0;
    for (Eigen::Index j = 0; j < order; ++j) {
      for (Eigen::Index i = 0; i <= j; ++i) packed(at++, 0) = full(i, j);
    }
    return Curvature::FromPacked(columns, packed, x.cols());
  }
};

Quadratic Draw(std::uint64_t seed, Eigen::Index n, Eigen::Index p) {
  Rng rng(seed, "quadratic");
  Quadratic q{Eigen::MatrixXd(n, p), Eigen::VectorXd(n)};
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < p; ++j) q.x(i, j) = rng.Normal();
    q.y(i) = q.x(i, 0) - 0.5 * q.x(i, 1) + rng.Normal();
  }
  return q;
}

std::vector<int> Columns(Eigen::Index p) {
  std::vector<int> columns;
  for (int j = 0; j < static_cast<int>(p); ++j) columns.push_back(j);
  return columns;
}

TEST(PenalizedQuadratic, TheExactCurvatureGivesTheOptimumInOneSolve) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Quadratic q = Draw(seed, 60, 12);
    const Curvature curvature = q.CurvatureOf(Columns(12));
    const PathPoint null = q.At(0, Eigen::VectorXd::Zero(12));
    for (const double lambda : {0.3, 0.1, 0.02, 0.0}) {
      const PathPoint solved = SolvePenalizedQuadratic(null, &curvature, lambda, null, {});
      EXPECT_LE(KktResidual(q.At(solved.intercept, solved.beta), lambda), 1e-11)
          << "seed " << seed << " lambda " << lambda;
    }
  }
}

// Range = maximum - minimum: the loss is flat along one direction, the penalty is not.
TEST(PenalizedQuadratic, ColumnsThatAreCombinationsOfOthersDoNotStallIt) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Quadratic q = Draw(seed, 60, 12);
    q.x.col(5) = q.x.col(0) - q.x.col(1);
    q.x.col(6) = 0.7 * q.x.col(2) + 0.7 * q.x.col(5);
    q.x.col(7) = q.x.col(3) * (1 + 1e-9);
    const Curvature curvature = q.CurvatureOf(Columns(12));
    const PathPoint null = q.At(0, Eigen::VectorXd::Zero(12));
    // Started with every column active, the worst case.
    PathPoint start = null;
    start.beta.setConstant(0.1);
    for (const double lambda : {0.3, 0.05, 0.005}) {
      const PathPoint solved = SolvePenalizedQuadratic(null, &curvature, lambda, start, {});
      EXPECT_LE(KktResidual(q.At(solved.intercept, solved.beta), lambda), 1e-8)
          << "seed " << seed << " lambda " << lambda;
    }
  }
}

TEST(PenalizedQuadratic, AWarmStartChangesNothingButTheWay) {
  const Quadratic q = Draw(7, 80, 15);
  const Curvature curvature = q.CurvatureOf(Columns(15));
  const PathPoint null = q.At(0, Eigen::VectorXd::Zero(15));
  const PathPoint cold = SolvePenalizedQuadratic(null, &curvature, 0.05, null, {});
  const PathPoint neighbour = SolvePenalizedQuadratic(null, &curvature, 0.2, null, {});
  const PathPoint warm = SolvePenalizedQuadratic(null, &curvature, 0.05, neighbour, {});
  EXPECT_LE((warm.beta - cold.beta).cwiseAbs().maxCoeff(), 1e-12);
}

TEST(PenalizedQuadratic, ColumnsOutsideTheCurvatureNeverOvershootTheLoss) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Quadratic q = Draw(seed, 60, 20);
    for (Eigen::Index j = 0; j < 20; ++j)
      q.x.col(j) = 0.999 * q.x.col(0) + 0.045 * q.x.col(j);  // nearly one column
    for (Eigen::Index j = 0; j < 20; ++j) q.x.col(j) /= std::sqrt(q.x.col(j).squaredNorm() / 60);
    const PathPoint null = q.At(0, Eigen::VectorXd::Zero(20));
    QuadraticOptions options;
    options.outside_diagonal = 1;  // of a squared loss
    const PathPoint next = SolvePenalizedQuadratic(null, nullptr, 0.01, null, options);
    const PathPoint there = q.At(next.intercept, next.beta);
    EXPECT_LE(there.loss + 0.01 * there.beta.cwiseAbs().sum(), null.loss);
  }
}

}  // namespace
}  // namespace consilium::learning
