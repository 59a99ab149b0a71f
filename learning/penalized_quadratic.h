// The inner problem of the LASSO: a quadratic model of the loss plus an L1 penalty, solved exactly.
//
//   minimise over (b0, b)  g0 d0 + g'd + 1/2 (d0, d)' H (d0, d) + lambda |b|_1,   d = b - base
//
// H is known on the columns of the curvature (and the intercept); columns outside it have only a
// diagonal bound. Solved by the feature-sign active-set method, which ends after finitely many
// linear systems: coordinate descent would crawl on radiomics columns whose correlation is 0.9999.
// Source: Lee, Battle, Raina & Ng, NIPS 2006, algorithm 1 (with the line search stopped at the
// first sign change). Plain loops in a fixed order: the same bits everywhere.
#pragma once

#include <Eigen/Core>
#include <vector>

namespace consilium::learning {

// A symmetric matrix over (intercept, columns).
struct Curvature {
  std::vector<int> columns;  // in the order of the matrix
  Eigen::MatrixXd matrix;    // [(1 + s) x (1 + s)]; row 0 is the intercept
  Eigen::VectorXi position;  // [p] place in the matrix of a column, or -1

  // matrix from the packed upper triangle, column by column: entries (i, j), i <= j, of order 1 +
  // s.
  [[nodiscard]] static Curvature FromPacked(std::vector<int> columns, const Eigen::MatrixXd& packed,
                                            Eigen::Index p);
};

// One point of the path on the standardised scale, and what the sums said about it.
struct PathPoint {
  double intercept = 0;
  Eigen::VectorXd beta;          // [p]
  double score = 0;              // d loss / d intercept, mean scale
  Eigen::VectorXd gradient;      // [p] d loss / d beta, mean scale
  double loss = 0;               // mean negative log-likelihood
  double left_out_deviance = 0;  // mean deviance of the left-out fold's rows (glmnet's clamp)
};

// Largest violation of the optimality conditions at `lambda`: |score|, |g_j + lambda sign b_j|
// where b_j != 0, |g_j| - lambda elsewhere.
[[nodiscard]] double KktResidual(const PathPoint& point, double lambda);

struct QuadraticOptions {
  double outside_diagonal =
      0.25;            // curvature bound of a standardised column: mean p(1-p) z^2 <= 1/4
  double damping = 1;  // H is multiplied by this (the safeguard's last resort)
  double tolerance = 1e-13;
  int iterations_max = 2000;
};

// The minimiser. `start` gives the first active set; `curvature` may be null (diagonal everywhere).
// Returns intercept and beta only.
[[nodiscard]] PathPoint SolvePenalizedQuadratic(const PathPoint& base, const Curvature* curvature,
                                                double lambda, const PathPoint& start,
                                                const QuadraticOptions& options);

}  // namespace consilium::learning
