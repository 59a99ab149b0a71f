// How the counts of slices and directions become one value of a texture feature.
//
// Textures of a neighbourhood are counted slice by slice (2D) or in the volume (3D), and direction
// by direction where the family has directions. Features are then taken of single counts and
// averaged, or of counts that were added together. Source: IBSI reference manual, "Aggregating
// features" of GLCM, GLRLM (codes BTW3, SUJT, JJUI, ZW7Z, ITBB, IAZD) and of the other families
// (8QNN, 62GR, KOBO).
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "engine/grey_levels.h"

namespace consilium::engine {

enum class Aggregation {
  k2dAverage,          // 2D:avg    BTW3: of each slice and direction, averaged
  k2dMerge,            // 2D:mrg    SUJT: directions of a slice added, averaged over slices
  k25dDirectionMerge,  // 2.5D:dmrg JJUI: slices of a direction added, averaged over directions
  k25dMerge,           // 2.5D:vmrg ZW7Z: slices and directions added
  k3dAverage,          // 3D:avg    ITBB: of each direction, averaged
  k3dMerge,            // 3D:mrg    IAZD: directions added
};

[[nodiscard]] constexpr bool IsBySlice(Aggregation how) {
  return how != Aggregation::k3dAverage && how != Aggregation::k3dMerge;
}

// [slice][direction]: `count(direction, z)`; z = -1 and the 13 directions in the volume, else each
// slice and the 4 directions within it.
template <typename Count, typename CountOne>
std::vector<std::vector<Count>> CountBySliceAndDirection(const LevelBox& levels, Aggregation how,
                                                         const CountOne& count) {
  std::vector<std::vector<Count>> counts;
  const bool by_slice = IsBySlice(how);
  const int slices = by_slice ? levels.size()[2] : 1;
  for (int z = 0; z < slices; ++z) {
    auto& of_slice = counts.emplace_back();
    for (const Direction& direction : by_slice ? Directions2d() : Directions3d())
      of_slice.push_back(count(direction, by_slice ? z : -1));
  }
  return counts;
}

// The same for families without directions: `count(z)`.
template <typename Count, typename CountOne>
std::vector<std::vector<Count>> CountBySlice(const LevelBox& levels, Aggregation how,
                                             const CountOne& count) {
  std::vector<std::vector<Count>> counts;
  if (!IsBySlice(how)) {
    counts.push_back({count(-1)});
    return counts;
  }
  for (int z = 0; z < levels.size()[2]; ++z) counts.push_back({count(z)});
  return counts;
}

// `counts[s][d]`: slice s (one, if they were counted in the volume), direction d (one, if the
// family has none). `features_of(count)`: the features of one count, as a struct whose Add(other)
// and Scale(factor) work on every feature. Counts that hold nothing (`count.empty()`) are no part
// of an average. Nothing was counted at all: the features of an empty count.
template <typename Count, typename FeaturesOf>
auto AggregateFeatures(const std::vector<std::vector<Count>>& counts, Aggregation how,
                       const FeaturesOf& features_of) {
  using Features = decltype(features_of(std::declval<const Count&>()));
  const bool merge_slices = how == Aggregation::k25dDirectionMerge || how == Aggregation::k25dMerge;
  const bool merge_directions =
      how == Aggregation::k2dMerge || how == Aggregation::k25dMerge || how == Aggregation::k3dMerge;
  const std::size_t slices = counts.size(), directions = counts.empty() ? 0 : counts[0].size();
  const std::size_t slice_groups = merge_slices ? 1 : slices;
  const std::size_t direction_groups = merge_directions ? 1 : directions;
  Features sum{};
  std::size_t used = 0;
  for (std::size_t s = 0; s < slice_groups; ++s) {
    for (std::size_t d = 0; d < direction_groups; ++d) {
      Count merged = counts[s][d];
      for (std::size_t t = merge_slices ? 0 : s; t < (merge_slices ? slices : s + 1); ++t) {
        for (std::size_t e = merge_directions ? 0 : d; e < (merge_directions ? directions : d + 1);
             ++e) {
          if (t != s || e != d) merged.Add(counts[t][e]);
        }
      }
      if (merged.empty()) continue;
      if (used == 0) {
        sum = features_of(merged);
      } else {
        sum.Add(features_of(merged));
      }
      ++used;
    }
  }
  if (used == 0) return features_of(Count());
  if (used > 1) sum.Scale(1.0 / static_cast<double>(used));
  return sum;
}

}  // namespace consilium::engine
