// The other road to a study's figures: all rows in one place, the textbook's formulas, no sums over
// sites and no code of the program. What a fit or an AUC of a federation is compared with.
//
// Arithmetic is `long double`, so that the comparison measures the program and not this file.
// Notation: n rows, p columns; z are the columns standardised with the 1/n sd of these rows.
// Sources: the LASSO's optimality conditions, Hastie, Tibshirani & Wainwright, Statistical Learning
// with Sparsity, 2015, section 2.2; DeLong, DeLong & Clarke-Pearson, Biometrics 44(3), 1988, by
// placements, as pROC computes it.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "study/results.h"

namespace consilium::testing_support {

using LongMatrix = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;
using LongVector = Eigen::Matrix<long double, Eigen::Dynamic, 1>;

struct PooledRows {
  std::vector<std::string> names;  // [p]
  Eigen::MatrixXd x;               // [n x p]
  Eigen::VectorXd y;               // [n] 0 or 1
};

// Rows of several hospitals, one below the other. All have the same columns.
inline PooledRows Stack(const std::vector<PooledRows>& parts) {
  PooledRows all;
  Eigen::Index n = 0;
  for (const PooledRows& part : parts) n += part.x.rows();
  all.names = parts.at(0).names;
  all.x.resize(n, parts[0].x.cols());
  all.y.resize(n);
  Eigen::Index at = 0;
  for (const PooledRows& part : parts) {
    all.x.middleRows(at, part.x.rows()) = part.x;
    all.y.segment(at, part.x.rows()) = part.y;
    at += part.x.rows();
  }
  return all;
}

struct Standardised {
  LongMatrix z;         // [n x p]
  LongVector mean, sd;  // [p]
};

inline Standardised Standardise(const Eigen::MatrixXd& x) {
  Standardised s;
  const auto n = static_cast<long double>(x.rows());
  s.z = x.cast<long double>();
  s.mean = s.z.colwise().sum().transpose() / n;
  s.z.rowwise() -= s.mean.transpose();
  s.sd = (s.z.array().square().colwise().sum() / n).sqrt().transpose();
  for (Eigen::Index j = 0; j < s.z.cols(); ++j) {
    if (s.sd(j) > 0) s.z.col(j) /= s.sd(j);
  }
  return s;
}

// Coefficients on the original scale [1 + p], intercept first, by the names in coefficients.csv.
inline LongVector ByName(const std::vector<study::Coefficient>& coefficients,
                         const study::FitKey& key, const std::vector<std::string>& names) {
  std::map<std::string, Eigen::Index> at = {{"(Intercept)", 0}};
  for (std::size_t j = 0; j < names.size(); ++j) at[names[j]] = static_cast<Eigen::Index>(j) + 1;
  LongVector all = LongVector::Constant(static_cast<Eigen::Index>(names.size()) + 1, 0);
  for (const study::Coefficient& one : coefficients) {
    if (one.key == key) all(at.at(one.term)) = one.coefficient;  // throws for an unknown term
  }
  return all;
}

inline LongVector ToStandardised(const LongVector& original, const Standardised& s) {
  LongVector beta = original;
  beta.tail(s.sd.size()).array() *= s.sd.array();
  beta(0) += original.tail(s.sd.size()).dot(s.mean);
  return beta;
}

// Mean gradient of the log-likelihood [1 + p] and the fitted variances p (1 - p) [n].
inline LongVector Gradient(const LongMatrix& z, const Eigen::VectorXd& y, const LongVector& beta,
                           LongVector* variance = nullptr) {
  const LongVector eta = (z * beta.tail(z.cols())).array() + beta(0);
  LongVector residual(y.size());
  if (variance != nullptr) variance->resize(y.size());
  for (Eigen::Index i = 0; i < y.size(); ++i) {
    const long double risk = 1 / (1 + std::exp(-eta(i)));
    residual(i) = y(i) - risk;
    if (variance != nullptr) (*variance)(i) = risk * (1 - risk);
  }
  LongVector gradient(z.cols() + 1);
  gradient(0) = residual.sum();
  gradient.tail(z.cols()) = z.transpose() * residual;
  return gradient / static_cast<long double>(y.size());
}

// The largest violation of the optimality conditions of
//   -(1/n) loglik + lambda |beta|_1:   g_0 = 0;  g_j = lambda sign(beta_j) or, at 0, |g_j| <=
//   lambda.
inline double KktViolation(const LongMatrix& z, const Eigen::VectorXd& y, const LongVector& beta,
                           long double lambda) {
  const LongVector g = Gradient(z, y, beta);
  long double worst = std::fabs(g(0));
  for (Eigen::Index j = 1; j < beta.size(); ++j) {
    const long double here = beta(j) > 0   ? std::fabs(g(j) - lambda)
                             : beta(j) < 0 ? std::fabs(g(j) + lambda)
                                           : std::max(0.0L, std::fabs(g(j)) - lambda);
    worst = std::max(worst, here);
  }
  return static_cast<double>(worst);
}

// Newton on the non-zero coefficients with their signs held, from `beta`, to rounding error. The
// caller checks KktViolation of what comes back: it is the optimum only if the support was.
inline LongVector Polish(const LongMatrix& z, const Eigen::VectorXd& y, LongVector beta,
                         long double lambda) {
  std::vector<Eigen::Index> active;
  for (Eigen::Index j = 1; j < beta.size(); ++j) {
    if (beta(j) != 0) active.push_back(j);
  }
  const auto k = static_cast<Eigen::Index>(active.size());
  LongMatrix design = LongMatrix::Ones(z.rows(), k + 1);
  LongVector sign = LongVector::Zero(k + 1);
  for (Eigen::Index a = 0; a < k; ++a) {
    design.col(a + 1) = z.col(active[static_cast<std::size_t>(a)] - 1);
    sign(a + 1) = beta(active[static_cast<std::size_t>(a)]) > 0 ? 1 : -1;
  }
  for (int iteration = 0; iteration < 30; ++iteration) {
    LongVector variance;
    const LongVector g = Gradient(z, y, beta, &variance);
    LongVector right(k + 1);
    right(0) = g(0);
    for (Eigen::Index a = 0; a < k; ++a) {
      right(a + 1) = g(active[static_cast<std::size_t>(a)]) - lambda * sign(a + 1);
    }
    const LongMatrix information =
        design.transpose() * variance.asDiagonal() * design / static_cast<long double>(y.size());
    const LongVector step = information.ldlt().solve(right);
    beta(0) += step(0);
    for (Eigen::Index a = 0; a < k; ++a) beta(active[static_cast<std::size_t>(a)]) += step(a + 1);
    if (step.cwiseAbs().maxCoeff() < 1e-16L) break;
  }
  return beta;
}

struct BruteForceAuc {
  double auc = 0;
  double variance = 0;  // DeLong
};

// Every pair of an event and a non-event: 1, 1/2 for a tie, 0.
inline BruteForceAuc AucOverAllPairs(const std::vector<double>& scores, const Eigen::VectorXd& y) {
  std::vector<double> events, others;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    (y(static_cast<Eigen::Index>(i)) > 0.5 ? events : others).push_back(scores[i]);
  }
  std::vector<long double> of_event(events.size(), 0), of_other(others.size(), 0);
  long double u = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    for (std::size_t j = 0; j < others.size(); ++j) {
      const long double won = events[i] > others[j] ? 1 : events[i] == others[j] ? 0.5L : 0;
      u += won;
      of_event[i] += won / static_cast<long double>(others.size());
      of_other[j] += won / static_cast<long double>(events.size());
    }
  }
  const auto m = static_cast<long double>(events.size());
  const auto n = static_cast<long double>(others.size());
  const long double auc = u / (m * n);
  long double s10 = 0, s01 = 0;
  for (const long double v : of_event) s10 += (v - auc) * (v - auc) / (m - 1);
  for (const long double v : of_other) s01 += (v - auc) * (v - auc) / (n - 1);
  return {static_cast<double>(auc), static_cast<double>(s10 / m + s01 / n)};
}

// Linear predictors of rows [n x p] under coefficients on the original scale [1 + p].
inline std::vector<double> Scores(const Eigen::MatrixXd& x, const LongVector& original) {
  std::vector<double> scores;
  for (Eigen::Index i = 0; i < x.rows(); ++i) {
    long double sum = original(0);
    for (Eigen::Index j = 0; j < x.cols(); ++j) {
      if (original(j + 1) != 0) sum += original(j + 1) * static_cast<long double>(x(i, j));
    }
    scores.push_back(static_cast<double>(sum));
  }
  return scores;
}

}  // namespace consilium::testing_support
