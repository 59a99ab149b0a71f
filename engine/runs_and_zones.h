// Runs, zones and dependences: what size_counts.h counts.
//
//   GLRLM  runs of equal levels along a direction, by length               (TP0I)
//   GLSZM  zones of equal levels, connected by sides, edges or corners, by voxels   (9SAK)
//   GLDZM  the same zones, by the least distance of a voxel to the border  (VMDZ)
//   NGLDM  voxels by how many neighbours have a level within alpha, plus one   (REK0)
//
// Source: IBSI reference manual, the sections of these codes.
#pragma once

#include <span>
#include <vector>

#include "engine/aggregation.h"
#include "engine/grey_levels.h"
#include "engine/size_counts.h"

namespace consilium::engine {

// Runs of the region along `direction`, within slice z, or in the volume (z < 0).
[[nodiscard]] SizeCounts RunCounts(const LevelBox& levels, const Direction& direction, int z = -1);
// Whether any line along `direction` holds two voxels of the region or more.
[[nodiscard]] bool HasTwoInLine(const LevelBox& levels, const Direction& direction);

// Zones and their counts by size and by distance; of slice z (8 neighbours, 4 for distances), or of
// the volume (z < 0: 26 and 6).
struct ZoneCounts {
  SizeCounts by_size, by_distance;
};
// `border_distances` [levels.voxels()] as BorderDistances gave them for the same z; empty:
// distances are not counted.
// `within_slices`: zones of the volume that end at their slice (z < 0).
[[nodiscard]] ZoneCounts CountZones(const LevelBox& levels, int z,
                                    const std::vector<std::uint32_t>& border_distances,
                                    bool within_slices = false);

// City-block distance of every voxel of `levels` (of slice z, or of all) to the outside of `mask`;
// 1: at the border. `mask` is the region before it was resegmented, on the grid that `levels` was
// cut from, so that holes in the intensities are no border.
[[nodiscard]] std::vector<std::uint32_t> BorderDistances(const LevelBox& levels, const Mask& mask,
                                                         int z);

// Voxels by dependence on the neighbours at `steps` (NeighbourSteps, StepsBothWays). alpha: the
// largest difference of levels that still depends.
[[nodiscard]] SizeCounts DependenceCounts(const LevelBox& levels,
                                          std::span<const std::ptrdiff_t> steps, int alpha,
                                          int z = -1);

// Of a region. `how`: of GLRLM, any; the others take k2dAverage (2D), k25dMerge (2.5D), k3dMerge
// (3D).
[[nodiscard]] SizeFeatures Glrlm(const LevelBox& levels, Aggregation how);
// GLSZM and GLDZM, of the same zones.
struct ZoneFeatures {
  SizeFeatures glszm, gldzm;
};
[[nodiscard]] ZoneFeatures ZonesOf(const LevelBox& levels, const Mask& mask, Aggregation how);
[[nodiscard]] SizeFeatures Ngldm(const LevelBox& levels, Aggregation how, int distance = 1,
                                 int alpha = 0);

}  // namespace consilium::engine
