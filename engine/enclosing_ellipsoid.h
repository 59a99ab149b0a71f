// The ellipsoid of least volume around points.
//
// Notation: points x_i with weights u_i >= 0 that sum to 1; c and S their weighted mean and
// covariance. Of all weights, those of the largest det S have { (x - c)' S^-1 (x - c) <= 3 } for
// the smallest ellipsoid. From weights on at most six points (Kumar & Yildirim, Journal of
// Optimization Theory and Applications 126(1):1-21, 2005), each step moves weight to the point
// that lies furthest out or away from the one furthest in, by the best length (Khachiyan,
// Mathematics of Operations Research 21(2):307-320, 1996, with the steps away of Todd & Yildirim,
// Discrete Applied Mathematics 155(13):1731-1744, 2007).
#pragma once

#include <array>
#include <span>

#include "base/result.h"
#include "engine/surface.h"

namespace consilium::engine {

struct EnclosingEllipsoid {
  Point centre{};
  std::array<Point, 3> axes{};           // of length 1, at right angles
  std::array<double, 3> semi_axes_mm{};  // along them, descending; all points lie within
  double gap = 0;  // the volume is at most so much larger than the least, relative to it
  int steps = 0;
  [[nodiscard]] double volume_mm3() const;
};
// Steps until `gap` is 1e-9, at most a million. Errors: kInvalidArgument (fewer than four points,
// or all in a plane).
[[nodiscard]] Result<EnclosingEllipsoid> SmallestEllipsoidAround(std::span<const Point> points);

}  // namespace consilium::engine
