#include "engine/reconcile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace consilium::engine {
namespace {

double LargestDifference(const std::array<double, 3>& a, const std::array<double, 3>& b) {
  return std::max({std::abs(a[0] - b[0]), std::abs(a[1] - b[1]), std::abs(a[2] - b[2])});
}

// How far the indices of one position are apart, at most: at a corner, as both maps are linear.
double LargestShift(const Grid& grid, const Place& place, const IndexMap& other) {
  double shift = 0;
  for (unsigned corner = 0; corner < 8; ++corner) {
    Index at{};
    for (std::size_t axis = 0; axis < 3; ++axis)
      at[axis] = (corner >> axis & 1U) != 0 ? grid.size[axis] - 1 : 0;
    shift = std::max(shift, LargestDifference(at, other(PositionOf(grid, place, at))));
  }
  return shift;
}

std::string DifferencesOf(const Grid& a, const Place& at_a, const Grid& b, const Place& at_b) {
  std::vector<std::string> names;
  double spacing = 0, direction = 0, origin = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double steps = std::max(a.size[axis], b.size[axis]);
    spacing = std::max(spacing, std::abs(a.spacing_mm[axis] / b.spacing_mm[axis] - 1) * steps);
    direction =
        std::max(direction, LargestDifference(at_a.direction[axis], at_b.direction[axis]) * steps);
    origin = std::max(origin, std::abs(at_a.origin_mm[axis] - at_b.origin_mm[axis]) /
                                  *std::min_element(b.spacing_mm.begin(), b.spacing_mm.end()));
  }
  if (a.size != b.size) names.emplace_back("size");
  if (spacing >= kSameGridVoxels) names.emplace_back("spacing");
  if (origin >= kSameGridVoxels) names.emplace_back("origin");
  if (direction >= kSameGridVoxels) names.emplace_back("direction");
  return fmt::format("{}", fmt::join(names, ", "));
}

// The voxel whose centre is nearest. Where a centre lies half-way, rounding must not choose by
// chance from voxel to voxel.
struct Nearest {
  std::array<int, 3> voxel{};
  bool inside = false;
};
Nearest NearestOf(const Grid& grid, const Index& index) {
  constexpr double kHalf = 0.5 + 1e-6;
  Nearest nearest{{}, true};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double rounded = std::floor(index[axis] + kHalf);
    if (!(rounded >= 0 && rounded < grid.size[axis])) return {};
    nearest.voxel[axis] = static_cast<int>(rounded);
  }
  return nearest;
}

template <typename Work>
void ForEachVoxel(const Grid& grid, const Work& work) {
  for (int z = 0; z < grid.size[2]; ++z) {
    for (int y = 0; y < grid.size[1]; ++y) {
      for (int x = 0; x < grid.size[0]; ++x) work(x, y, z, grid.Index(x, y, z));
    }
  }
}

Index IndexAt(int x, int y, int z) {
  return {static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)};
}

}  // namespace

Result<Reconciled> Reconcile(const PlacedMask& mask, const Grid& grid, const Place& place) {
  const Grid& from = mask.mask.grid;
  const auto to_mask = IndexMap::Of(from, mask.place);
  CONSILIUM_TRY(to_mask);
  const auto to_image = IndexMap::Of(grid, place);
  CONSILIUM_TRY(to_image);
  if (from.size == grid.size && LargestShift(grid, place, *to_mask) < kSameGridVoxels)
    return Reconciled{{grid, mask.mask.inside}, ""};

  Reconciled result{{grid, std::vector<std::uint8_t>(grid.voxel_count())}, ""};
  std::size_t taken = 0, drawn = 0, outside = 0;
  ForEachVoxel(grid, [&](int x, int y, int z, std::size_t i) {
    const Nearest nearest = NearestOf(from, (*to_mask)(PositionOf(grid, place, IndexAt(x, y, z))));
    if (!nearest.inside) return;
    const auto& [u, v, w] = nearest.voxel;
    result.mask.inside[i] = mask.mask.inside[from.Index(u, v, w)];
    taken += result.mask.inside[i];
  });
  ForEachVoxel(from, [&](int x, int y, int z, std::size_t i) {
    if (mask.mask.inside[i] == 0) return;
    ++drawn;
    if (!NearestOf(grid, (*to_image)(PositionOf(from, mask.place, IndexAt(x, y, z)))).inside)
      ++outside;
  });
  const std::string both =
      fmt::format("mask: {}; image: {}", Described(from, mask.place), Described(grid, place));
  if (taken == 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("no voxel of the region comes to lie in the image; give the image that "
                            "it was drawn on. {}",
                            both));
  }
  result.note = fmt::format(
      "the mask's grid differs from the image's in {}: every voxel of the image took the nearest "
      "voxel of the mask ({} voxels became {}). {}",
      DifferencesOf(from, mask.place, grid, place), drawn, taken, both);
  if (outside > 0) {
    result.note +=
        fmt::format(". {} voxels of the region lie outside the image and are lost", outside);
  }
  return result;
}

}  // namespace consilium::engine
