#include "learning/penalized_quadratic.h"

#include <algorithm>
#include <cmath>

namespace consilium::learning {
namespace {

// Solves A x = b for symmetric positive (semi)definite A in place by LDL'; a pivot that vanished against
// its diagonal leaves its unknown at zero. Order fixed, no blocking.
void SolveSymmetric(std::vector<double>& a, std::vector<double>& b, std::size_t n) {
  std::vector<double> diagonal(n);
  for (std::size_t i = 0; i < n; ++i) diagonal[i] = a[i * n + i];
  for (std::size_t j = 0; j < n; ++j) {
    double* row_j = &a[j * n];
    double pivot = row_j[j];
    for (std::size_t k = 0; k < j; ++k) pivot -= row_j[k] * row_j[k] * a[k * n + k];
    if (!(pivot > 1e-13 * diagonal[j])) pivot = 0;
    row_j[j] = pivot;
    for (std::size_t i = j + 1; i < n; ++i) {
      double* row_i = &a[i * n];
      double value = row_i[j];
      for (std::size_t k = 0; k < j; ++k) value -= row_i[k] * row_j[k] * a[k * n + k];
      row_i[j] = pivot > 0 ? value / pivot : 0.0;
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
  }
  for (std::size_t i = 0; i < n; ++i) b[i] = a[i * n + i] > 0 ? b[i] / a[i * n + i] : 0.0;
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
  }
}

// The model's columns that matter for one solve, with the matrix entries looked up once.
class Model {
 public:
  Model(const PathPoint& base, const Curvature* curvature, double lambda, const PathPoint& start,
        const QuadraticOptions& options)
      : options_(options), lambda_(lambda) {
    const Eigen::Index p = base.gradient.size();
    gradient_.push_back(base.score);
    base_.push_back(base.intercept);
    value_.push_back(start.intercept);
    column_.push_back(-1);
    place_.push_back(curvature != nullptr ? 0 : -1);
    for (Eigen::Index j = 0; j < p; ++j) {
      const int place = curvature != nullptr ? curvature->position(j) : -1;
      if (place < 0 && base.beta(j) == 0 && start.beta(j) == 0 && std::fabs(base.gradient(j)) <= lambda) continue;
      gradient_.push_back(base.gradient(j));
      base_.push_back(base.beta(j));
      value_.push_back(start.beta(j));
      column_.push_back(static_cast<int>(j));
      place_.push_back(place);
    }
    curvature_ = curvature;
    sign_.assign(value_.size(), 0);
    for (std::size_t a = 1; a < value_.size(); ++a) sign_[a] = value_[a] > 0 ? 1 : value_[a] < 0 ? -1 : 0;
  }

  PathPoint Solve(Eigen::Index p) {
    std::vector<bool> banned(value_.size(), false);
    for (int iteration = 0; iteration < options_.iterations_max; ++iteration) {
      const bool moved_whole = StepOnActiveSet(banned);
      if (!moved_whole) continue;
      // Stationary on the active set: who else wants to enter?
      std::size_t worst = 0;
      double violation = lambda_ * (1 + 1e-12) + options_.tolerance;
      double worst_slope = 0;
      for (std::size_t a = 1; a < value_.size(); ++a) {
        if (sign_[a] != 0 || banned[a]) continue;
        const double slope = Slope(a);
        if (std::fabs(slope) > violation) {
          violation = std::fabs(slope);
          worst = a;
          worst_slope = slope;
        }
      }
      if (worst == 0) break;
      sign_[worst] = worst_slope > 0 ? -1 : 1;
    }
    PathPoint solution;
    solution.intercept = value_[0];
    solution.beta = Eigen::VectorXd::Zero(p);
    for (std::size_t a = 1; a < value_.size(); ++a) solution.beta(column_[a]) = value_[a];
    return solution;
  }

 private:
  [[nodiscard]] double Entry(std::size_t a, std::size_t b) const {
    if (place_[a] >= 0 && place_[b] >= 0) return options_.damping * curvature_->matrix(place_[a], place_[b]);
    return a == b ? options_.damping * options_.outside_diagonal : 0.0;
  }

  // Gradient of the smooth part at the current values.
  [[nodiscard]] double Slope(std::size_t a) const {
    double slope = gradient_[a];
    if (place_[a] < 0) return slope + Entry(a, a) * (value_[a] - base_[a]);
    for (std::size_t b = 0; b < value_.size(); ++b) {
      const double d = value_[b] - base_[b];
      if (d != 0 && place_[b] >= 0) slope += options_.damping * curvature_->matrix(place_[a], place_[b]) * d;
    }
    return slope;
  }

  // Moves towards the minimiser of the current signs; stops at the first coefficient that changes sign
  // and takes it out. True when the minimiser was reached.
  bool StepOnActiveSet(std::vector<bool>& banned) {
    std::vector<std::size_t> active = {0};
    for (std::size_t a = 1; a < value_.size(); ++a) {
      if (sign_[a] != 0) active.push_back(a);
    }
    const std::size_t n = active.size();
    std::vector<double> matrix(n * n), step(n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < n; ++k) matrix[i * n + k] = Entry(active[i], active[k]);
      step[i] = -(Slope(active[i]) + lambda_ * sign_[active[i]]);
    }
    SolveSymmetric(matrix, step, n);
    double reach = 1;
    for (std::size_t i = 1; i < n; ++i) {
      const std::size_t a = active[i];
      const double target = value_[a] + step[i];
      if (target * sign_[a] >= 0) continue;
      if (value_[a] == 0) {  // just let in and pushed the other way: rounding; it stays out of this solve
        sign_[a] = 0;
        banned[a] = true;
        return false;
      }
      reach = std::min(reach, value_[a] / (value_[a] - target));
    }
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t a = active[i];
      const double target = value_[a] + step[i];
      const bool crosses = i > 0 && target * sign_[a] < 0 && value_[a] / (value_[a] - target) <= reach;
      value_[a] = crosses ? 0.0 : value_[a] + reach * step[i];
      if (crosses) sign_[a] = 0;
    }
    return reach == 1;
  }

  QuadraticOptions options_;
  double lambda_;
  const Curvature* curvature_ = nullptr;
  std::vector<double> gradient_, base_, value_;
  std::vector<int> column_, place_, sign_;
};

}  // namespace

Curvature Curvature::FromPacked(std::vector<int> columns, const Eigen::MatrixXd& packed, Eigen::Index p) {
  Curvature curvature;
  curvature.columns = std::move(columns);
  const auto order = static_cast<Eigen::Index>(curvature.columns.size()) + 1;
  curvature.matrix.resize(order, order);
  Eigen::Index at = 0;
  for (Eigen::Index j = 0; j < order; ++j) {
    for (Eigen::Index i = 0; i <= j; ++i) {
      curvature.matrix(i, j) = packed(at, 0);
      curvature.matrix(j, i) = packed(at, 0);
      ++at;
    }
  }
  curvature.position = Eigen::VectorXi::Constant(p, -1);
  for (std::size_t k = 0; k < curvature.columns.size(); ++k) curvature.position(curvature.columns[k]) = static_cast<int>(k) + 1;
  return curvature;
}

double KktResidual(const PathPoint& point, double lambda) {
  double worst = std::fabs(point.score);
  for (Eigen::Index j = 0; j < point.beta.size(); ++j) {
    const double g = point.gradient(j), b = point.beta(j);
    const double violation = b > 0 ? std::fabs(g + lambda) : b < 0 ? std::fabs(g - lambda) : std::fabs(g) - lambda;
    worst = std::max(worst, violation);
  }
  return worst;
}

PathPoint SolvePenalizedQuadratic(const PathPoint& base, const Curvature* curvature, double lambda, const PathPoint& start,
                                  const QuadraticOptions& options) {
  Model model(base, curvature, lambda, start, options);
  return model.Solve(base.gradient.size());
}

}  // namespace consilium::learning
