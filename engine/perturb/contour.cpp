#include "engine/perturb/contour.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/distance_map.h"

namespace consilium::engine {
namespace {

Box Around(const Box& box, const Grid& grid, double reach_mm) {
  Box around = box;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const int last = grid.size[axis] - 1;
    const double voxels = std::ceil(reach_mm / grid.spacing_mm[axis]);
    const auto reach = static_cast<int>(std::min(std::max(0.0, voxels), static_cast<double>(last)));
    around.first[axis] = std::max(0, box.first[axis] - reach);
    around.last[axis] = std::min(last, box.last[axis] + reach);
  }
  return around;
}

template <typename Work>
void ForEachVoxel(const Box& box, const Work& work) {
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      for (int x = box.first[0]; x <= box.last[0]; ++x) work(x, y, z);
    }
  }
}

struct Candidate {
  double squared_distance;
  std::size_t index;  // in the mask's grid
};

// Outside voxels at most so far from the mask.
std::vector<Candidate> OutsideNear(const Mask& mask, const Box& box, double reach_mm) {
  const Box around = Around(box, mask.grid, reach_mm);
  const std::vector<double> distances = SquaredDistancesTo(Cut(mask, around));
  std::vector<Candidate> near;
  std::size_t i = 0;
  ForEachVoxel(around, [&](int x, int y, int z) {
    const double distance = distances[i++];
    if (distance > 0 && distance <= reach_mm * reach_mm)
      near.push_back({distance, mask.grid.Index(x, y, z)});
  });
  return near;
}

// All inside voxels, with their distance to the outside.
std::vector<Candidate> Inside(const Mask& mask, const Box& box) {
  Mask outside;  // in the box and one voxel around it
  outside.grid.spacing_mm = mask.grid.spacing_mm;
  for (std::size_t axis = 0; axis < 3; ++axis)
    outside.grid.size[axis] = box.last[axis] - box.first[axis] + 3;
  outside.inside.assign(outside.grid.voxel_count(), 1);
  const auto index = [&](int x, int y, int z) {
    return outside.grid.Index(x - box.first[0] + 1, y - box.first[1] + 1, z - box.first[2] + 1);
  };
  ForEachVoxel(box, [&](int x, int y, int z) {
    if (mask.inside[mask.grid.Index(x, y, z)] != 0) outside.inside[index(x, y, z)] = 0;
  });
  const std::vector<double> distances = SquaredDistancesTo(outside);
  std::vector<Candidate> inside;
  ForEachVoxel(box, [&](int x, int y, int z) {
    const double distance = distances[index(x, y, z)];
    if (distance > 0) inside.push_back({distance, mask.grid.Index(x, y, z)});
  });
  return inside;
}

}  // namespace

Result<Mask> Resized(const Mask& mask, double fraction, Rng& rng) {
  const Box box = BoundingBoxOf(mask);
  if (!(fraction > -1) || !std::isfinite(fraction) || box.empty) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("a region resized by {}, must be > -1 and of a voxel or more", fraction));
  }
  const auto now = static_cast<double>(VoxelsIn(mask));
  const double wanted = std::max(1.0, std::floor(now * (1 + fraction) + 0.5));
  if (wanted > static_cast<double>(mask.inside.size())) {
    return Fail(ErrorCode::kOutOfRange,
                fmt::format("{} voxels wanted, the image has {}; grow the region less", wanted,
                            mask.inside.size()));
  }
  const bool grow = wanted > now;
  const auto changes = static_cast<std::size_t>(std::abs(wanted - now));
  double reach_mm = *std::max_element(mask.grid.spacing_mm.begin(), mask.grid.spacing_mm.end());
  std::vector<Candidate> candidates = grow ? OutsideNear(mask, box, reach_mm) : Inside(mask, box);
  while (candidates.size() < changes) {
    reach_mm *= 2;
    candidates = OutsideNear(mask, box, reach_mm);
  }
  rng.Shuffle(candidates);
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) {
                     return a.squared_distance < b.squared_distance;
                   });
  Mask resized = mask;
  for (std::size_t i = 0; i < changes; ++i) resized.inside[candidates[i].index] = grow ? 1 : 0;
  return resized;
}

Result<Mask> RandomContour(const Image& image, const Mask& mask, const ContourOptions& options,
                           Rng& rng) {
  const Box region = BoundingBoxOf(mask);
  if (image.grid != mask.grid || region.empty || !(options.drop_below >= 0) ||
      !(options.drop_below <= options.keep_from)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("image and mask must lie on one grid, the mask hold a voxel, and 0 <= "
                            "drop_below = {} <= keep_from = {}",
                            options.drop_below, options.keep_from));
  }
  const Box box = Around(region, mask.grid, 2 * options.supervoxels.step_mm);
  const auto supervoxels = SupervoxelsOf(image, box, options.supervoxels);
  CONSILIUM_TRY(supervoxels);
  const Mask inside = Cut(mask, box);
  std::vector<double> share(supervoxels->count), voxels(supervoxels->count);
  for (std::size_t i = 0; i < inside.inside.size(); ++i) {
    share[supervoxels->label[i]] += inside.inside[i];
    ++voxels[supervoxels->label[i]];
  }
  std::vector<bool> taken(supervoxels->count);
  for (std::size_t s = 0; s < taken.size(); ++s) {
    if (voxels[s] > 0) share[s] /= voxels[s];
    taken[s] = share[s] > 0 && share[s] >= options.drop_below &&
               (share[s] >= options.keep_from || rng.Chance(share[s]));
  }
  if (std::find(taken.begin(), taken.end(), true) == taken.end())
    taken[static_cast<std::size_t>(std::max_element(share.begin(), share.end()) - share.begin())] =
        true;
  Mask drawn{mask.grid, std::vector<std::uint8_t>(mask.inside.size())};
  std::size_t i = 0;
  ForEachVoxel(box, [&](int x, int y, int z) {
    drawn.inside[drawn.grid.Index(x, y, z)] = taken[supervoxels->label[i++]] ? 1 : 0;
  });
  return drawn;
}

}  // namespace consilium::engine
