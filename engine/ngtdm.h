// Neighbourhood grey-tone difference: how far a voxel's level is from its neighbours' mean.
//
// Notation: n_i voxels of level i that have a neighbour in the region; s_i the sum over them of
// |i - mean level of the neighbours|; p_i = n_i / N_v; N_v all such voxels; N_p levels with
// p_i > 0. Source: IBSI reference manual, "Neighbourhood grey tone difference based features"
// (IPET); Amadasun & King, IEEE SMC-19(5):1264-1274, 1989.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/aggregation.h"
#include "engine/feature_list.h"
#include "engine/grey_levels.h"

namespace consilium::engine {

struct DifferenceCounts {
  std::vector<std::uint64_t> n;  // [levels + 1]
  std::vector<double> s;         // [levels + 1]

  [[nodiscard]] bool empty() const;
  void Add(const DifferenceCounts& other);
};
// From the neighbours at `steps` (NeighbourSteps, StepsBothWays); of slice z, or of all voxels
// (z < 0).
[[nodiscard]] DifferenceCounts CountDifferences(const LevelBox& levels,
                                                std::span<const std::ptrdiff_t> steps, int z = -1);

struct NgtdmFeatures : Averaged<NgtdmFeatures> {
  double coarseness = kUndefined, contrast = kUndefined, busyness = kUndefined,
         complexity = kUndefined, strength = kUndefined;

  template <typename Features, typename Visitor>
  static void Visit(Features&& f, Visitor&& visit) {
    visit(FeatureName{"coarseness", "QCDE", "Coarseness"}, f.coarseness);
    visit(FeatureName{"contrast", "65HE", "Contrast"}, f.contrast);
    visit(FeatureName{"busyness", "NQ30", "Busyness"}, f.busyness);
    visit(FeatureName{"complexity", "HDEZ", "Complexity"}, f.complexity);
    visit(FeatureName{"strength", "1X9X", "Strength"}, f.strength);
  }
};
// Where all levels are one: coarseness 1e6, the others 0. All NaN where nothing was counted.
[[nodiscard]] NgtdmFeatures FeaturesOf(const DifferenceCounts& counts);

// k2dAverage (2D), k25dMerge (2.5D) or k3dMerge (3D).
[[nodiscard]] NgtdmFeatures Ngtdm(const LevelBox& levels, Aggregation how, int distance = 1);

}  // namespace consilium::engine
