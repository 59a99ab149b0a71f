// The box of least volume around a convex body, in whatever direction it lies.
//
// A smallest box has two adjacent faces that each hold an edge of the body (O'Rourke, International
// Journal of Computer and Information Sciences 14(3):183-199, 1985). The normals of a face that
// holds an edge lie on an arc between the normals of the edge's two faces; of two arcs, those that
// are at right angles make a curve of boxes. All such curves are searched: with the two vertices
// that are furthest apart across each side held fixed, the volume is at least a quotient of two
// polynomials of degree 4 along a piece of the curve, whose Bernstein coefficients bound it from
// below; pieces that may hold a smaller box are halved. So the least volume is found, and proven,
// to a relative 1e-10. Of boxes whose volumes agree to that, the one of least area counts.
#pragma once

#include <array>

#include "engine/convex_hull.h"

namespace consilium::engine {

struct EnclosingBox {
  std::array<Point, 3> axes{};       // of length 1, at right angles
  std::array<double, 3> sides_mm{};  // along them
  [[nodiscard]] double volume_mm3() const { return sides_mm[0] * sides_mm[1] * sides_mm[2]; }
  [[nodiscard]] double area_mm2() const {
    return 2 * (sides_mm[0] * sides_mm[1] + sides_mm[1] * sides_mm[2] + sides_mm[2] * sides_mm[0]);
  }
};
[[nodiscard]] EnclosingBox SmallestBoxAround(const ConvexHull& hull);

}  // namespace consilium::engine
