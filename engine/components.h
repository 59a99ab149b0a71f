// The parts of a region that hang together, and the holes in it.
//
// Inside voxels touch by sides, edges or corners (26 neighbours), outside voxels by sides only (6):
// then what a closed surface parts is parted on both sides of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/grid.h"

namespace consilium::engine {

enum class Touching { kBySides, kAtAll };  // 6 or 26 neighbours

struct Components {
  std::vector<std::uint32_t> label;  // [voxel_count] 0 outside, 1, 2, ... in order of first voxels
  std::vector<std::size_t> voxels;   // of each, label 1 first
};
[[nodiscard]] Components ComponentsOf(const Mask& mask, Touching touching = Touching::kAtAll);

// The component with the most voxels, the first of equal ones; the mask itself if it is empty.
[[nodiscard]] Mask LargestComponent(const Mask& mask);

// Voxels of each part of the outside that the region encloses.
[[nodiscard]] std::vector<std::size_t> HolesOf(const Mask& mask);

}  // namespace consilium::engine
