// A closed polygon into voxels of a slice.
//
// A voxel is inside when its centre is, by the even-odd rule: a line from it crosses the polygon an
// odd number of times. Polygons of one slice are combined by turning voxels over, so a polygon in
// another is a hole, and one beside another is a second part. Source: DICOM PS3.3 C.8.8.6.3
// (CLOSED_PLANAR, CLOSEDPLANAR_XOR); IBSI reference manual, "ROI mask" (point inside polygon).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace consilium::engine {

// In indices of the slice: voxel (x, y) has its centre at x, y.
struct PlanarPoint {
  double x = 0, y = 0;
};

struct PlanarMask {
  int size_x = 0, size_y = 0;
  std::vector<std::uint8_t> inside;  // [size_x * size_y], x fastest, 0 or 1
};

// Turns over every voxel of `mask` inside `polygon` (finite, closed from its last point to its
// first; fewer than three points hold nothing). A centre on the polygon itself belongs to the side
// of larger x and y, so that of two polygons with a common edge exactly one has it.
void TurnOverInside(std::span<const PlanarPoint> polygon, PlanarMask& mask);

}  // namespace consilium::engine
