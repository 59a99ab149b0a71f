#include "engine/enclosing_box.h"

#include <Eigen/Dense>
#include <algorithm>
#include <limits>
#include <vector>

namespace consilium::engine {
namespace {

using Eigen::Vector3d;

constexpr double kOther = 1e-6;      // areas that differ by more are of boxes that lie otherwise
constexpr double kTie = 1e-10;       // volumes that agree to this are equal
constexpr double kParallel = 1e-10;  // of a squared sine: less has not ten digits left
constexpr int kHalvingsMax = 60;     // a piece has come down to the spacing of doubles

// Coefficients of polynomials on [0, 1] in Bernstein's form, which bound their values.
using Quadratic = std::array<double, 3>;
using Quartic = std::array<double, 5>;

Quadratic Product(double a0, double a1, double b0, double b1) {
  return {a0 * b0, (a0 * b1 + a1 * b0) / 2, a1 * b1};
}

Quartic Product(const Quadratic& a, const Quadratic& b) {
  return {a[0] * b[0], (a[0] * b[1] + a[1] * b[0]) / 2,
          (a[0] * b[2] + 4 * (a[1] * b[1]) + a[2] * b[0]) / 6, (a[1] * b[2] + a[2] * b[1]) / 2,
          a[2] * b[2]};
}

// |x|^2 along the line from `p` to `q`.
Quadratic SquaredNorm(const Vector3d& p, const Vector3d& q) {
  return {p.dot(p), p.dot(q), q.dot(q)};
}

Vector3d ToVector(const Point& point) { return {point[0], point[1], point[2]}; }

// Directions by where they meet a cube around the origin, its sides cut into squares.
constexpr std::size_t kSquares = 16;
constexpr std::size_t kCells = 6 * kSquares * kSquares;

std::size_t CellOf(const Vector3d& direction) {
  Eigen::Index axis = 0;
  const double largest = direction.cwiseAbs().maxCoeff(&axis);
  const auto square = [&](Eigen::Index other) {
    const double place = (1 + direction[other] / largest) / 2 * kSquares;
    return std::min(static_cast<std::size_t>(place), kSquares - 1);
  };
  const auto side = static_cast<std::size_t>(2 * axis + (direction[axis] < 0 ? 1 : 0));
  return (side * kSquares + square((axis + 1) % 3)) * kSquares + square((axis + 2) % 3);
}

class Search {
 public:
  explicit Search(const ConvexHull& hull) : edges_(hull.edges) {
    for (const Point& vertex : hull.vertices) vertices_.push_back(ToVector(vertex));
    for (const Point& normal : hull.normals) normals_.push_back(ToVector(normal));
    neighbours_.resize(vertices_.size());
    for (const auto& edge : edges_) {
      neighbours_[edge.vertices[0]].push_back(edge.vertices[1]);
      neighbours_[edge.vertices[1]].push_back(edge.vertices[0]);
    }
    std::erase_if(edges_, [](const auto& edge) { return edge.normals[0] == edge.normals[1]; });
  }

  EnclosingBox Run() {
    Offer({Vector3d::UnitX(), Vector3d::UnitY(), Vector3d::UnitZ()});
    std::vector<double> from(normals_.size()), to(normals_.size());
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      const Vector3d &a = normals_[edges_[i].normals[0]], &b = normals_[edges_[i].normals[1]];
      for (std::size_t f = 0; f < normals_.size(); ++f) {
        from[f] = a.dot(normals_[f]);
        to[f] = b.dot(normals_[f]);
      }
      for (std::size_t j = i; j < edges_.size(); ++j) {
        const std::size_t c = edges_[j].normals[0], d = edges_[j].normals[1];
        for (const double sign : {1.0, -1.0}) {
          // Where on the arc from a to b the normal n has n.c <= 0 <= n.d, or both reversed: there
          // one of the normals between c and d is at right angles to it.
          double begin = 0, end = 1;
          Keep(-sign * from[c], -sign * to[c], begin, end);
          Keep(sign * from[d], sign * to[d], begin, end);
          if (begin > end) continue;
          across_ = sign * normals_[c].cross(normals_[d]);
          Turn((1 - begin) * a + begin * b, (1 - end) * a + end * b, 0);
        }
      }
    }
    return best_;
  }

 private:
  // Cuts [begin, end] to where the line from `at_0` to `at_1` is not negative.
  static void Keep(double at_0, double at_1, double& begin, double& end) {
    if (at_0 >= 0 && at_1 >= 0) return;
    if (at_0 < 0 && at_1 < 0) {
      end = -1;
    } else if (at_0 < 0) {
      begin = std::max(begin, at_0 / (at_0 - at_1));
    } else {
      end = std::min(end, at_0 / (at_0 - at_1));
    }
  }

  // The furthest vertex along `direction`: from the one that was so nearby, from vertex to higher
  // neighbour, as a convex body has no other summit.
  std::size_t Highest(const Vector3d& direction) {
    std::size_t& at = nearby_[CellOf(direction)];
    double height = vertices_[at].dot(direction);
    for (bool higher = true; higher;) {
      higher = false;
      for (const std::size_t next : neighbours_[at]) {
        const double there = vertices_[next].dot(direction);
        if (there <= height) continue;
        height = there;
        at = next;
        higher = true;
        break;
      }
    }
    return at;
  }

  // The volume of the box along three axes at right angles, by all vertices; keeps the best box.
  double Offer(const std::array<Vector3d, 3>& axes) {
    EnclosingBox box;
    for (std::size_t k = 0; k < 3; ++k) {
      const Vector3d axis = axes[k].normalized();
      box.axes[k] = {axis[0], axis[1], axis[2]};
      double low = axis.dot(vertices_[0]), high = low;
      for (const Vector3d& vertex : vertices_) {
        low = std::min(low, axis.dot(vertex));
        high = std::max(high, axis.dot(vertex));
      }
      box.sides_mm[k] = high - low;
    }
    const double volume = box.volume_mm3(), area = box.area_mm2();
    least_ = std::min(least_, volume);
    const auto is_least = [&](double one) { return one <= least_ * (1 + kTie); };
    const double best_area = best_.area_mm2();
    if (is_least(volume) && (!is_least(best_volume_) || area < best_area * (1 - kOther) ||
                             (volume < best_volume_ && area <= best_area * (1 + kOther)))) {
      best_ = box;
      best_volume_ = volume;
    }
    return volume;
  }

  // The piece of a curve of boxes whose first normal goes straight from `p` to `q`, its second is
  // the first times `across_`.
  void Turn(const Vector3d& p, const Vector3d& q, int halvings) {
    const Vector3d middle = (p + q) / 2;
    const Vector3d second = middle.cross(across_);
    const std::array<Vector3d, 3> axes = {middle, second, middle.cross(second)};
    // The first normal along the second's edge: other edges have that box too.
    if (second.squaredNorm() <= kParallel * middle.squaredNorm() * across_.squaredNorm()) return;
    double volume = 1 / (middle.squaredNorm() * second.squaredNorm());
    std::array<Vector3d, 3> reach;
    for (std::size_t k = 0; k < 3; ++k) {
      reach[k] = vertices_[Highest(axes[k])] - vertices_[Highest(-axes[k])];
      volume *= reach[k].dot(axes[k]);
    }
    if (volume <= least_ * (1 + kTie)) volume = Offer(axes);
    if (halvings == kHalvingsMax) return;

    const Vector3d second_p = p.cross(across_), second_q = q.cross(across_);
    const Quadratic third = {reach[2].dot(p.cross(second_p)),
                             reach[2].dot(p.cross(second_q) + q.cross(second_p)) / 2,
                             reach[2].dot(q.cross(second_q))};
    const double first_p = reach[0].dot(p), first_q = reach[0].dot(q),
                 of_second_p = reach[1].dot(second_p), of_second_q = reach[1].dot(second_q);
    bool none_smaller =
        std::min({first_p, first_q, of_second_p, of_second_q, third[0], third[1], third[2]}) >= 0;
    if (none_smaller) {
      const Quartic sides = Product(Product(first_p, first_q, of_second_p, of_second_q), third);
      const Quartic norms = Product(SquaredNorm(p, q), SquaredNorm(second_p, second_q));
      const double bound = std::min(least_ * (1 + kTie), volume * (1 - kTie));
      for (std::size_t k = 0; k < 5; ++k) none_smaller &= sides[k] >= bound * norms[k];
    }
    if (none_smaller) return;
    Turn(p, middle, halvings + 1);
    Turn(middle, q, halvings + 1);
  }

  std::vector<ConvexHull::Edge> edges_;
  std::vector<Vector3d> vertices_, normals_;
  std::vector<std::vector<std::size_t>> neighbours_;
  std::vector<std::size_t> nearby_ = std::vector<std::size_t>(kCells);
  Vector3d across_ = Vector3d::Zero();
  double least_ = std::numeric_limits<double>::infinity();
  double best_volume_ = std::numeric_limits<double>::infinity();
  EnclosingBox best_;
};

}  // namespace

EnclosingBox SmallestBoxAround(const ConvexHull& hull) { return Search(hull).Run(); }

}  // namespace consilium::engine
