// The surface of a region: a mesh between voxel centres, half-way from inside to outside.
//
// Marching cubes at level 0.5 of the mask (Lorensen & Cline, Computer Graphics 21(4):163-169,
// 1987): every cube of eight centres is one of 256 cases. Where a face of the cube has its inside
// corners on a diagonal, they are joined, in both cubes that share the face, so that the mesh is
// closed. A loop of more than three mid-points has the triangles whose areas have the largest sum
// (in a cube of equal sides), which are those of the usual table wherever no face is ambiguous. All
// vertices are mid-points, so volume and area are sums over the cases that occur. Source of the
// features: IBSI reference manual, "Morphological features" (HCUG).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/grid.h"

namespace consilium::engine {

using Point = std::array<double, 3>;  // mm, from the centre of voxel (0, 0, 0)

struct Surface {
  double volume_mm3 = 0;  // enclosed
  double area_mm2 = 0;
  // The largest distance of two vertices in a plane across each axis: rows of one x, columns of
  // one y, slices of one z.
  std::array<double, 3> plane_diameter_mm{};
  Point low{}, high{};  // of the box around the mesh, its sides along the axes
  // Vertices that no other two vertices lie on both sides of along x, y or z: all that can be
  // vertices of the convex hull, or ends of a diameter.
  std::vector<Point> outermost;
};
// All zero for a region without a voxel.
[[nodiscard]] Surface SurfaceOf(const Mask& mask);

}  // namespace consilium::engine
