// Where a grid lies in the patient.
//
// Positions and directions are in mm in the patient's system that points left, posterior and up
// (LPS: DICOM PS3.3 C.7.6.2.1.1). An index is that of a voxel's centre and may be fractional; voxel
// i reaches from i - 1/2 to i + 1/2.
#pragma once

#include <array>
#include <string>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

using Position = std::array<double, 3>;  // mm
using Index = std::array<double, 3>;     // voxels

struct Place {
  Position origin_mm{};  // of the centre of voxel (0, 0, 0)
  // direction[axis]: the unit vector along which the index of that axis grows.
  std::array<std::array<double, 3>, 3> direction{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
};

struct PlacedImage {
  Image image;
  Place place;
};

struct PlacedMask {
  Mask mask;
  Place place;
};

[[nodiscard]] Position PositionOf(const Grid& grid, const Place& place, const Index& index);

// From positions to indices of one grid.
class IndexMap {
 public:
  // Errors: kInvalidArgument (a spacing that is not > 0, a number that is not finite, or axes in
  // one plane: no position would have one index).
  [[nodiscard]] static Result<IndexMap> Of(const Grid& grid, const Place& place);
  [[nodiscard]] Index operator()(const Position& position) const;

 private:
  Position origin_{};
  std::array<std::array<double, 3>, 3> rows_{};
};

// The scalar and the vector product.
[[nodiscard]] double Dot(const std::array<double, 3>& a, const std::array<double, 3>& b);
[[nodiscard]] std::array<double, 3> Cross(const std::array<double, 3>& a,
                                          const std::array<double, 3>& b);

// "204 x 201 x 60 voxels of 1 x 1 x 3 mm, first at (0, 0, 0) mm, axes (1, 0, 0) ..." for messages.
[[nodiscard]] std::string Described(const Grid& grid, const Place& place);

}  // namespace consilium::engine
