// The shape of a region within one slice: a closed line half-way from inside to outside.
//
// Marching squares at level 0.5 of the mask: every square of four centres adds the segments between
// the mid-points of its sides that have one end inside; inside corners on a diagonal are cut apart.
// Notation: lambda_1 >= lambda_2 eigenvalues of the covariance of the pixels' centres, divided by
// their number. Source: PyRadiomics 3.1, class shape2D; Lorensen & Cline, Computer Graphics
// 21(4):163-169, 1987, in the plane.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace consilium::engine {

// A slice, `inside` [rows x columns], columns fastest.
struct SliceMask {
  int rows = 0, columns = 0;
  std::array<double, 2> spacing_mm{1, 1};  // between rows, between columns
  std::vector<std::uint8_t> inside;
};

struct SliceShape {
  double mesh_surface = 0, pixel_surface = 0;  // mm^2
  double perimeter = 0, maximum_diameter = 0;  // mm
  double major_axis_length = 0, minor_axis_length = 0;
  double elongation = 0;  // NaN for a single pixel
};
// All zero without a pixel.
[[nodiscard]] SliceShape ShapeOfSlice(const SliceMask& mask);

}  // namespace consilium::engine
