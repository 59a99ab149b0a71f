#include "engine/place.h"

#include <fmt/format.h>

#include <cmath>

namespace consilium::engine {

double Dot(const std::array<double, 3>& a, const std::array<double, 3>& b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

std::array<double, 3> Cross(const std::array<double, 3>& a, const std::array<double, 3>& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

Position PositionOf(const Grid& grid, const Place& place, const Index& index) {
  Position position = place.origin_mm;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (std::size_t i = 0; i < 3; ++i)
      position[i] += place.direction[axis][i] * (grid.spacing_mm[axis] * index[axis]);
  }
  return position;
}

Result<IndexMap> IndexMap::Of(const Grid& grid, const Place& place) {
  IndexMap map;
  map.origin_ = place.origin_mm;
  const auto& d = place.direction;
  const double volume = Dot(d[0], Cross(d[1], d[2]));
  constexpr double kFlat = 1e-3;  // of unit vectors: 0.06 degrees from one plane
  bool usable = std::abs(volume) > kFlat;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double spacing = grid.spacing_mm[axis];
    usable = usable && spacing > 0 && std::isfinite(spacing) && std::isfinite(map.origin_[axis]);
    map.rows_[axis] = Cross(d[(axis + 1) % 3], d[(axis + 2) % 3]);
    for (double& number : map.rows_[axis]) number /= volume * spacing;
  }
  if (!usable) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a grid of {} does not say where its voxels are; correct its spacing "
                            "and its directions",
                            Described(grid, place)));
  }
  return map;
}

Index IndexMap::operator()(const Position& position) const {
  const Position from_origin = {position[0] - origin_[0], position[1] - origin_[1],
                                position[2] - origin_[2]};
  return {Dot(rows_[0], from_origin), Dot(rows_[1], from_origin), Dot(rows_[2], from_origin)};
}

std::string Described(const Grid& grid, const Place& place) {
  const auto& d = place.direction;
  return fmt::format(
      "{} voxels of {:.6g} mm, first at ({:.6g}) mm, axes ({:.6g}) ({:.6g}) ({:.6g})",
      fmt::join(grid.size, " x "), fmt::join(grid.spacing_mm, " x "),
      fmt::join(place.origin_mm, ", "), fmt::join(d[0], ", "), fmt::join(d[1], ", "),
      fmt::join(d[2], ", "));
}

}  // namespace consilium::engine
