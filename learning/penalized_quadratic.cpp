#include "learning/penalized_quadratic.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace consilium::learning {
namespace {

constexpr double kPivotShare = 1e-11;
constexpr double kPivotMin = 1e-15;

// Four running sums in a fixed order: the same bits everywhere, and no chain of dependent
// additions.
double Dot(const double* a, const double* b, std::size_t n) {
  double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  std::size_t k = 0;
  for (; k + 4 <= n; k += 4) {
    s0 += a[k] * b[k];
    s1 += a[k + 1] * b[k + 1];
    s2 += a[k + 2] * b[k + 2];
    s3 += a[k + 3] * b[k + 3];
  }
  for (; k < n; ++k) s0 += a[k] * b[k];
  return (s0 + s1) + (s2 + s3);
}

// LDL' of the active rows and columns of a symmetric matrix, grown a row at a time; taking a column
// out costs the rows behind it. Columns may be combinations of others (range = maximum - minimum):
// a pivot that vanished against its diagonal is raised to a tiny share of it, so that the step runs
// along the flat direction until a coefficient reaches zero and leaves.
class GrowingFactor {
 public:
  explicit GrowingFactor(const Eigen::MatrixXd& matrix) : matrix_(matrix) {}

  void Add(Eigen::Index place) { places_.push_back(place); }
  void Remove(std::size_t at) {
    places_.erase(places_.begin() + static_cast<std::ptrdiff_t>(at));
    rows_.resize(std::min(rows_.size(), at));
  }
  [[nodiscard]] const std::vector<Eigen::Index>& places() const { return places_; }

  // x with A x = b, in the order of places().
  [[nodiscard]] std::vector<double> Solve(std::vector<double> b) {
    const std::size_t n = places_.size();
    while (rows_.size() < n) Factor(rows_.size());
    for (std::size_t i = 0; i < n; ++i) {
      b[i] -= Dot(rows_[i].data(), b.data(), i);
    }
    for (std::size_t i = 0; i < n; ++i) b[i] /= rows_[i][i];
    for (std::size_t i = n; i-- > 0;) {
      for (std::size_t k = 0; k < i; ++k) b[k] -= rows_[i][k] * b[i];
    }
    return b;
  }

 private:
  // Row i of L, its pivot last.
  void Factor(std::size_t i) {
    std::vector<double> row(i + 1), scaled(i);
    for (std::size_t j = 0; j <= i; ++j) {
      const double value = matrix_(places_[i], places_[j]) -
                           Dot(scaled.data(), j < i ? rows_[j].data() : row.data(), j);
      if (j < i) {
        row[j] = value / rows_[j][j];
        scaled[j] = value;
      } else {
        row[i] =
            std::max(value, std::max(kPivotShare * matrix_(places_[i], places_[i]), kPivotMin));
      }
    }
    rows_.push_back(std::move(row));
  }

  const Eigen::MatrixXd& matrix_;
  std::vector<Eigen::Index> places_;
  std::vector<std::vector<double>> rows_;
};

// The columns with known curvature, in the matrix's own order (0 = intercept).
class FeatureSign {
 public:
  FeatureSign(const PathPoint& base, const Curvature& curvature, double lambda,
              const PathPoint& start, const QuadraticOptions& options)
      : curvature_(curvature), options_(options), lambda_(lambda), factor_(curvature.matrix) {
    const Eigen::Index order = curvature.matrix.rows();
    slope_.resize(order);
    value_.resize(order);
    sign_.assign(static_cast<std::size_t>(order), 0);
    banned_.assign(static_cast<std::size_t>(order), false);
    slope_(0) = base.score;
    value_(0) = start.intercept;
    factor_.Add(0);
    std::vector<Eigen::Index> entering;
    for (Eigen::Index k = 1; k < order; ++k) {
      const int j = curvature.columns[static_cast<std::size_t>(k - 1)];
      slope_(k) = base.gradient(j);
      value_(k) = start.beta(j);
      if (value_(k) != 0) entering.push_back(k);
    }
    // The smallest coefficients last: they are the likeliest to leave, and leaving costs the rows
    // behind.
    std::stable_sort(entering.begin(), entering.end(), [&](Eigen::Index a, Eigen::Index b) {
      return std::fabs(value_(a)) > std::fabs(value_(b));
    });
    for (const Eigen::Index k : entering) Enter(k, value_(k) > 0 ? 1 : -1);
    Shift(0, start.intercept - base.intercept);
    for (Eigen::Index k = 1; k < order; ++k) {
      const int j = curvature.columns[static_cast<std::size_t>(k - 1)];
      Shift(k, start.beta(j) - base.beta(j));
    }
  }

  void Solve(PathPoint& solution) {
    for (int iteration = 0; iteration < options_.iterations_max; ++iteration) {
      if (!StepOnActiveSet()) continue;
      // Stationary on the active set: who else wants to enter?
      Eigen::Index worst = 0;
      double violation = lambda_ * (1 + 1e-12) + options_.tolerance;
      for (Eigen::Index k = 1; k < value_.size(); ++k) {
        const auto at = static_cast<std::size_t>(k);
        if (sign_[at] != 0 || banned_[at] || !(std::fabs(slope_(k)) > violation)) continue;
        violation = std::fabs(slope_(k));
        worst = k;
      }
      if (worst == 0) break;
      Enter(worst, slope_(worst) > 0 ? -1 : 1);
    }
    solution.intercept = value_(0);
    for (Eigen::Index k = 1; k < value_.size(); ++k) {
      solution.beta(curvature_.columns[static_cast<std::size_t>(k - 1)]) = value_(k);
    }
  }

 private:
  void Enter(Eigen::Index k, int sign) {
    sign_[static_cast<std::size_t>(k)] = sign;
    factor_.Add(k);
  }

  // The slopes after the value at k moved by `amount`.
  void Shift(Eigen::Index k, double amount) {
    if (amount == 0) return;
    const double scaled = options_.damping * amount;
    const double* column = curvature_.matrix.data() + k * curvature_.matrix.rows();
    for (Eigen::Index i = 0; i < slope_.size(); ++i) slope_(i) += column[i] * scaled;
  }

  // Moves towards the minimiser of the current signs; stops at the first coefficient that changes
  // sign and takes it out. True when the minimiser was reached.
  bool StepOnActiveSet() {
    const std::vector<Eigen::Index> active = factor_.places();
    std::vector<double> step(active.size());
    for (std::size_t i = 0; i < active.size(); ++i) {
      step[i] = -(slope_(active[i]) + lambda_ * sign_[static_cast<std::size_t>(active[i])]) /
                options_.damping;
    }
    step = factor_.Solve(std::move(step));
    double reach = 1;
    for (std::size_t i = 1; i < active.size(); ++i) {
      const Eigen::Index k = active[i];
      const double target = value_(k) + step[i];
      if (target * sign_[static_cast<std::size_t>(k)] >= 0) continue;
      if (value_(k) ==
          0) {  // just let in and pushed the other way: rounding; it stays out of this solve
        sign_[static_cast<std::size_t>(k)] = 0;
        banned_[static_cast<std::size_t>(k)] = true;
        factor_.Remove(i);
        return false;
      }
      reach = std::min(reach, value_(k) / (value_(k) - target));
    }
    for (std::size_t i = active.size(); i-- > 0;) {
      const Eigen::Index k = active[i];
      const auto at = static_cast<std::size_t>(k);
      const double target = value_(k) + step[i];
      const bool crosses =
          i > 0 && target * sign_[at] < 0 && value_(k) / (value_(k) - target) <= reach;
      const double amount = crosses ? -value_(k) : reach * step[i];
      Shift(k, amount);
      value_(k) = crosses ? 0.0 : value_(k) + amount;
      if (crosses) {
        sign_[at] = 0;
        factor_.Remove(i);
      }
    }
    return reach == 1;
  }

  const Curvature& curvature_;
  const QuadraticOptions& options_;
  double lambda_;
  GrowingFactor factor_;
  Eigen::VectorXd slope_, value_;
  std::vector<int> sign_;
  std::vector<bool> banned_;
};

double SoftThreshold(double value, double threshold) {
  return value > threshold ? value - threshold : value < -threshold ? value + threshold : 0.0;
}

}  // namespace

Curvature Curvature::FromPacked(std::vector<int> columns, const Eigen::MatrixXd& packed,
                                Eigen::Index p) {
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
  for (std::size_t k = 0; k < curvature.columns.size(); ++k)
    curvature.position(curvature.columns[k]) = static_cast<int>(k) + 1;
  return curvature;
}

double KktResidual(const PathPoint& point, double lambda) {
  double worst = std::fabs(point.score);
  for (Eigen::Index j = 0; j < point.beta.size(); ++j) {
    const double g = point.gradient(j), b = point.beta(j);
    const double violation = b > 0   ? std::fabs(g + lambda)
                             : b < 0 ? std::fabs(g - lambda)
                                     : std::fabs(g) - lambda;
    worst = std::max(worst, violation);
  }
  return worst;
}

PathPoint SolvePenalizedQuadratic(const PathPoint& base, const Curvature* curvature, double lambda,
                                  const PathPoint& start, const QuadraticOptions& options) {
  const Eigen::Index p = base.gradient.size();
  PathPoint solution;
  solution.beta = Eigen::VectorXd::Zero(p);
  // Outside the curvature every column stands alone. m of them that move together bend the loss at
  // most m times as much, so the bound is raised by their number (twice, for their product with the
  // inside).
  const auto inside = [&](Eigen::Index j) {
    return curvature != nullptr && curvature->position(j) >= 0;
  };
  Eigen::Index moving = 0;
  for (Eigen::Index j = 0; j < p; ++j) {
    if (!inside(j) && (base.beta(j) != 0 || std::fabs(base.gradient(j)) > lambda)) ++moving;
  }
  const double bend = options.damping * options.outside_diagonal *
                      static_cast<double>(std::max<Eigen::Index>(1, moving)) *
                      (curvature != nullptr ? 2.0 : 1.0);
  for (Eigen::Index j = 0; j < p; ++j) {
    if (!inside(j))
      solution.beta(j) = SoftThreshold(base.beta(j) - base.gradient(j) / bend, lambda / bend);
  }
  if (curvature == nullptr) {
    solution.intercept = base.intercept - base.score / (options.damping * options.outside_diagonal);
    return solution;
  }
  FeatureSign inner(base, *curvature, lambda, start, options);
  inner.Solve(solution);
  return solution;
}

}  // namespace consilium::learning
