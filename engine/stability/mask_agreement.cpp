#include "engine/stability/mask_agreement.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/distance_map.h"
#include "engine/quantile.h"

namespace consilium::engine {
namespace {

tl::unexpected<Error> OtherGrids() {
  return Fail(ErrorCode::kInvalidArgument,
              "the masks lie on different grids; resample one of them first");
}

// From each surface voxel of `from` to the nearest of `to`, ascending.
std::vector<double> Distances(const Mask& from, const Mask& to) {
  const std::vector<double> squared = SquaredDistancesTo(to);
  std::vector<double> distances;
  for (std::size_t i = 0; i < squared.size(); ++i) {
    if (from.inside[i] != 0) distances.push_back(std::sqrt(squared[i]));
  }
  return Ascending(std::move(distances));
}

}  // namespace

Result<Overlap> OverlapOf(const Mask& a, const Mask& b) {
  if (a.grid != b.grid) return OtherGrids();
  double in_a = 0, in_b = 0, in_both = 0;
  for (std::size_t i = 0; i < a.inside.size(); ++i) {
    in_a += a.inside[i];
    in_b += b.inside[i];
    in_both += a.inside[i] & b.inside[i];
  }
  if (in_a + in_b == 0)
    return Fail(ErrorCode::kFailedPrecondition, "both masks are empty: there is no overlap");
  return Overlap{2 * in_both / (in_a + in_b), in_both / (in_a + in_b - in_both)};
}

Mask SurfaceVoxels(const Mask& mask) {
  Mask surface{mask.grid, std::vector<std::uint8_t>(mask.inside.size())};
  const auto& size = mask.grid.size;
  const std::array<std::size_t, 3> strides = {1, mask.grid.Index(0, 1, 0),
                                              mask.grid.Index(0, 0, 1)};
  for (int z = 0; z < size[2]; ++z) {
    for (int y = 0; y < size[1]; ++y) {
      for (int x = 0; x < size[0]; ++x) {
        const std::size_t i = mask.grid.Index(x, y, z);
        if (mask.inside[i] == 0) continue;
        const std::array<int, 3> at = {x, y, z};
        for (std::size_t axis = 0; axis < 3; ++axis) {
          if (at[axis] == 0 || at[axis] == size[axis] - 1 || mask.inside[i - strides[axis]] == 0 ||
              mask.inside[i + strides[axis]] == 0) {
            surface.inside[i] = 1;
          }
        }
      }
    }
  }
  return surface;
}

Result<SurfaceDistances> SurfaceDistancesOf(const Mask& a, const Mask& b) {
  if (a.grid != b.grid) return OtherGrids();
  const Box box_a = BoundingBoxOf(a), box_b = BoundingBoxOf(b);
  if (box_a.empty || box_b.empty) {
    return Fail(ErrorCode::kFailedPrecondition,
                "a mask is empty: there is no distance between surfaces");
  }
  Box both = box_a;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    both.first[axis] = std::min(box_a.first[axis], box_b.first[axis]);
    both.last[axis] = std::max(box_a.last[axis], box_b.last[axis]);
  }
  const Mask surface_a = SurfaceVoxels(Cut(a, both)), surface_b = SurfaceVoxels(Cut(b, both));
  SurfaceDistances result;
  double sum = 0, count = 0;
  for (const auto& distances : {Distances(surface_a, surface_b), Distances(surface_b, surface_a)}) {
    result.hausdorff_mm = std::max(result.hausdorff_mm, distances.back());
    result.hausdorff_95_mm = std::max(result.hausdorff_95_mm, QuantileOf(distances, 0.95));
    for (const double distance : distances) sum += distance;
    count += static_cast<double>(distances.size());
  }
  result.mean_mm = sum / count;
  return result;
}

}  // namespace consilium::engine
