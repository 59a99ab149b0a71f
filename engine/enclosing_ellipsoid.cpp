#include "engine/enclosing_ellipsoid.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>
#include <numeric>
#include <vector>

namespace consilium::engine {
namespace {

using Eigen::Matrix4d;
using Eigen::Vector3d;
using Eigen::Vector4d;

constexpr double kGap = 1e-9;
constexpr int kStepsAmongWeighty = 32;  // between two looks at all points
constexpr int kStepsMax = 1'000'000;

// The points that are furthest out along three directions, each at right angles to the pairs
// before it: equal weights.
std::vector<double> FirstWeights(std::span<const Vector4d> points) {
  std::vector<double> weights(points.size());
  Eigen::Matrix<double, 3, 2> pairs = Eigen::Matrix<double, 3, 2>::Zero();
  Vector3d direction = Vector3d::UnitX();
  for (int pair = 0; pair < 3; ++pair) {
    const auto [low, high] =
        std::minmax_element(points.begin(), points.end(), [&](const auto& a, const auto& b) {
          return a.template head<3>().dot(direction) < b.template head<3>().dot(direction);
        });
    for (const auto& end : {low, high})
      weights[static_cast<std::size_t>(end - points.begin())] += 1.0 / 6;
    if (pair == 2) break;
    pairs.col(pair) = (*high - *low).head<3>().normalized();
    direction = pair == 0 ? Vector3d(pairs.col(0).unitOrthogonal())
                          : Vector3d(pairs.col(0).cross(pairs.col(1)));
  }
  return weights;
}

Point PointOf(const Vector3d& v) { return {v[0], v[1], v[2]}; }

// Sum of u_i (x_i, 1) (x_i, 1)'.
Matrix4d Moments(std::span<const Vector4d> points, std::span<const double> weights) {
  Matrix4d moments = Matrix4d::Zero();
  for (std::size_t i = 0; i < points.size(); ++i)
    if (weights[i] > 0) moments += weights[i] * points[i] * points[i].transpose();
  return moments;
}

}  // namespace

double EnclosingEllipsoid::volume_mm3() const {
  return 4 * std::numbers::pi * semi_axes_mm[0] * semi_axes_mm[1] * semi_axes_mm[2] / 3;
}

Result<EnclosingEllipsoid> SmallestEllipsoidAround(std::span<const Point> points) {
  const auto flat = [&] {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} points do not span a volume, expected four or more that do",
                            points.size()));
  };
  if (points.size() < 4) return flat();
  Vector3d origin = Vector3d::Zero();
  for (const Point& point : points) origin += Vector3d(point[0], point[1], point[2]);
  origin /= static_cast<double>(points.size());
  std::vector<Vector4d> lifted;  // about their mean, for the digits' sake
  for (const Point& point : points)
    lifted.emplace_back(point[0] - origin[0], point[1] - origin[1], point[2] - origin[2], 1);
  std::vector<double> weights = FirstWeights(lifted);
  Matrix4d moments = Moments(lifted, weights);
  std::vector<std::size_t> all(points.size()), weighty;
  std::iota(all.begin(), all.end(), std::size_t{0});
  EnclosingEllipsoid ellipsoid;
  for (;; ++ellipsoid.steps) {
    const Matrix4d inverse = moments.inverse();
    if (!inverse.allFinite()) return flat();
    const bool of_all = ellipsoid.steps % kStepsAmongWeighty == 0;
    // 1 + (x - c)' S^-1 (x - c) of each point; 4 on the ellipsoid.
    double most = 0, least = 4;
    std::size_t out = 0, in = 0;
    for (const std::size_t i : of_all ? all : weighty) {
      const double distance = lifted[i].dot(inverse * lifted[i]);
      if (distance > most) {
        most = distance;
        out = i;
      }
      if (weights[i] > 0 && distance < least) {
        least = distance;
        in = i;
      }
    }
    const double larger = (most - 1) / 3;  // squared lengths, so that all points lie within
    ellipsoid.gap = larger * std::sqrt(larger) - 1;
    if (of_all && (ellipsoid.gap <= kGap || ellipsoid.steps >= kStepsMax)) {
      const Vector3d centre = moments.col(3).head<3>();
      const Eigen::SelfAdjointEigenSolver<Eigen::Matrix3d> eigen(moments.topLeftCorner<3, 3>() -
                                                                 centre * centre.transpose());
      ellipsoid.centre = PointOf(centre + origin);
      for (std::size_t k = 0; k < 3; ++k) {
        const auto descending = static_cast<Eigen::Index>(2 - k);
        ellipsoid.axes[k] = PointOf(eigen.eigenvectors().col(descending));
        ellipsoid.semi_axes_mm[k] = std::sqrt((most - 1) * eigen.eigenvalues()[descending]);
      }
      return ellipsoid;
    }
    const bool add = most - 4 >= 4 - least;
    const std::size_t at = add ? out : in;
    const double distance = add ? most : least;
    // The step of the largest det; a weight ends at 0.
    const double whole = -weights[at] / (1 - weights[at]);
    const double step =
        distance > 1 ? std::max((distance - 4) / (4 * (distance - 1)), whole) : whole;
    for (const std::size_t i : of_all ? all : weighty) weights[i] *= 1 - step;
    weights[at] = step == whole ? 0 : weights[at] + step;
    if (of_all) {
      weighty.clear();
      std::copy_if(all.begin(), all.end(), std::back_inserter(weighty),
                   [&](std::size_t i) { return weights[i] > 0; });
    }
    moments = (1 - step) * moments + step * lifted[at] * lifted[at].transpose();
  }
}

}  // namespace consilium::engine
