// The convex hull of points in space (Qhull: Barber, Dobkin & Huhdanpaa, ACM TOMS 22(4):469-483,
// 1996).
#pragma once

#include <array>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/surface.h"

namespace consilium::engine {

struct ConvexHull {
  struct Edge {
    std::array<std::size_t, 2> vertices{}, normals{};  // its ends, and its faces' normals
  };
  double volume_mm3 = 0, area_mm2 = 0;
  std::vector<Point> vertices;
  std::vector<Point> normals;  // of the faces, of length 1, outwards
  // Faces are cut into triangles: an edge within a face has its normal twice.
  std::vector<Edge> edges;
};
// Errors: kInvalidArgument (fewer than four points, or all in a plane).
[[nodiscard]] Result<ConvexHull> ConvexHullOf(std::span<const Point> points);

// The largest distance between two of `points`; 0 for fewer than two.
[[nodiscard]] double DiameterOf(std::span<const Point> points);

}  // namespace consilium::engine
