// The surface of a region: a mesh between voxel centres, half-way from inside to outside.
//
// Marching cubes at level 0.5 of the mask (Lorensen & Cline, Computer Graphics 21(4):163-169,
// 1987): every cube of eight centres is one of 256 cases, in which the surface is one loop of
// mid-points or several. Where a face of the cube has its inside corners on a diagonal, they are
// cut apart. Loops of more than three vertices are closed by rule (largest area), which gives the
// triangles of Bourke's table ("Polygonising a scalar field", 1994). All vertices are mid-points,
// so volume and area are sums over the cases that occur. Source of the features: IBSI reference
// manual, "Morphological features" (HCUG).
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
enum class MeshRule {
  kClosed,  // both cubes at a face cut its corners apart: the mesh has no hole
  // As PyRadiomics: a cube whose corner (0, 1, 1) is inside is the inverse of its complement, which
  // cuts the outside corners of an ambiguous face apart. Where its neighbour does not, the mesh has
  // a hole, and the volume depends on the origin: one voxel before the box of the region.
  kPyradiomics,
};
// All zero for a region without a voxel.
[[nodiscard]] Surface SurfaceOf(const Mask& mask, MeshRule rule = MeshRule::kClosed);

}  // namespace consilium::engine
