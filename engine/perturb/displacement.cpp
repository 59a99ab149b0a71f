#include "engine/perturb/displacement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/interpolation.h"
#include "engine/trigonometry.h"

namespace consilium::engine {
namespace {

using Place = std::array<double, 3>;  // in voxels

// From a new voxel to where it was.
class WayBack {
 public:
  WayBack(const Grid& grid, const Box& box, const Displacement& how)
      : spacing_(grid.spacing_mm),
        shift_(how.shift_voxels),
        u_((how.axis + 1) % 3),
        v_((how.axis + 2) % 3),
        turn_(SineCosineOf(how.rotation_degrees * (std::numbers::pi / 180))) {
    for (std::size_t axis = 0; axis < 3; ++axis)
      centre_[axis] = (box.first[axis] + box.last[axis]) / 2.0;
  }
  [[nodiscard]] Place From(int x, int y, int z) const {
    Place at = {x - shift_[0], y - shift_[1], z - shift_[2]};
    const double u = (at[u_] - centre_[u_]) * spacing_[u_],
                 v = (at[v_] - centre_[v_]) * spacing_[v_];
    at[u_] = centre_[u_] + (turn_.cosine * u + turn_.sine * v) / spacing_[u_];
    at[v_] = centre_[v_] + (turn_.cosine * v - turn_.sine * u) / spacing_[v_];
    return at;
  }

 private:
  std::array<double, 3> spacing_, shift_;
  std::size_t u_, v_;  // the axes that turn into one another
  SineCosine turn_;
  Place centre_{};
};

Image Moved(Image image, const WayBack& way_back, Interpolation how) {
  if (how == Interpolation::kCubicSpline) {
    for (std::size_t axis = 0; axis < 3; ++axis) ToSplineCoefficients(image, axis);
  }
  const Grid& grid = image.grid;
  const std::vector<double>& values = image.values.Doubles();
  std::vector<double> moved;
  moved.reserve(values.size());
  for (int z = 0; z < grid.size[2]; ++z) {
    for (int y = 0; y < grid.size[1]; ++y) {
      for (int x = 0; x < grid.size[0]; ++x) {
        const Place from = way_back.From(x, y, z);
        const Taps along_x = TapsAt(from[0], grid.size[0], how),
                   along_y = TapsAt(from[1], grid.size[1], how),
                   along_z = TapsAt(from[2], grid.size[2], how);
        double sum = 0;
        for (std::size_t k = 0; k < static_cast<std::size_t>(along_z.count); ++k) {
          for (std::size_t j = 0; j < static_cast<std::size_t>(along_y.count); ++j) {
            const double* row = &values[grid.Index(0, along_y.at[j], along_z.at[k])];
            double of_row = 0;
            for (std::size_t i = 0; i < static_cast<std::size_t>(along_x.count); ++i)
              of_row += along_x.weight[i] * row[along_x.at[i]];
            sum += along_z.weight[k] * along_y.weight[j] * of_row;
          }
        }
        moved.push_back(sum);
      }
    }
  }
  return {grid, std::move(moved)};
}

}  // namespace

Result<DisplacedRegion> Displaced(const Image& image, const Mask& mask, const Displacement& how) {
  constexpr double kMost = 1000;
  const auto bounded = [](double x) { return std::abs(x) <= kMost; };
  if (how.axis > 2 || !bounded(how.rotation_degrees) ||
      !std::all_of(how.shift_voxels.begin(), how.shift_voxels.end(), bounded)) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("a shift of {} voxels and a turn of {} degrees about axis {}, must be "
                    "at most {} and about axis 0, 1 or 2",
                    fmt::join(how.shift_voxels, ", "), how.rotation_degrees, how.axis, kMost));
  }
  const Box box = BoundingBoxOf(mask);
  if (image.grid != mask.grid || box.empty) {
    return Fail(ErrorCode::kInvalidArgument,
                "image and mask must lie on one grid, and the mask hold a voxel");
  }
  const WayBack way_back(image.grid, box, how);
  const Image moved_mask = Moved(
      {mask.grid, std::vector<double>(mask.inside.begin(), mask.inside.end())}, way_back,
      how.interpolation == Interpolation::kNearest ? how.interpolation : Interpolation::kLinear);
  DisplacedRegion region{Moved(image, way_back, how.interpolation), {mask.grid, {}}};
  for (const double value : moved_mask.values)
    region.mask.inside.push_back(value >= kInsideFrom ? 1 : 0);
  if (BoundingBoxOf(region.mask).empty) {
    return Fail(ErrorCode::kOutOfRange,
                "the displaced region has no voxel on the image's grid; displace it less");
  }
  return region;
}

}  // namespace consilium::engine
