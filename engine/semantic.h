// What a reader would measure by hand: areas of cross-sections, diameters, the share of fat.
//
// Slices are planes across one axis of the image, the one that the reader pages through (a muscle's
// area at one vertebra is taken on axial slices). Areas count voxels; diameters are those of the
// mesh (surface.h), the largest distance of two of its vertices. Fat is what is brighter than a
// threshold, as on T1 and T2 without fat suppression.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/result.h"
#include "engine/feature_list.h"
#include "engine/grid.h"

namespace consilium::engine {

struct SemanticOptions {
  std::size_t axis = 2;      // across which slices lie: 0, 1 or 2
  std::optional<int> level;  // a slice; none: that of the largest area, the first of them
  std::optional<double> fat_threshold;  // none: Otsu's, of the region's intensities
};

struct SemanticFeatures : Averaged<SemanticFeatures> {
  double slice_count = kUndefined, area_largest = kUndefined, area_mean = kUndefined,
         area_at_level = kUndefined, maximum_diameter = kUndefined,
         maximum_diameter_in_slice = kUndefined, fat_threshold = kUndefined,
         fat_fraction = kUndefined, fat_fraction_at_level = kUndefined,
         lean_area_at_level = kUndefined;

  template <typename Features, typename Visitor>
  static void Visit(Features&& f, Visitor&& visit) {
    visit(FeatureName{"slice_count", "", ""}, f.slice_count);
    visit(FeatureName{"area_largest", "", ""}, f.area_largest);    // mm2
    visit(FeatureName{"area_mean", "", ""}, f.area_mean);          // over slices with voxels
    visit(FeatureName{"area_at_level", "", ""}, f.area_at_level);  // 0 where the region is not
    visit(FeatureName{"maximum_diameter", "L0JK", "Maximum3DDiameter"}, f.maximum_diameter);  // mm
    visit(FeatureName{"maximum_diameter_in_slice", "", ""}, f.maximum_diameter_in_slice);
    visit(FeatureName{"fat_threshold", "", ""}, f.fat_threshold);  // an intensity
    visit(FeatureName{"fat_fraction", "", ""}, f.fat_fraction);    // of the region's voxels
    visit(FeatureName{"fat_fraction_at_level", "", ""}, f.fat_fraction_at_level);
    visit(FeatureName{"lean_area_at_level", "", ""}, f.lean_area_at_level);  // without fat
  }
};
// Of one region, or one label. `image` and `mask` on one grid. Without a threshold given, a region
// whose intensities do not vary has no fat features (NaN). Errors: kInvalidArgument (the grids
// differ, axis or level out of bounds, no voxel, an intensity inside is not finite).
[[nodiscard]] Result<SemanticFeatures> Semantic(const Image& image, const Mask& mask,
                                                const SemanticOptions& options = {});

// Cross-sectional areas in mm2 of all slices [size along axis].
[[nodiscard]] std::vector<double> SliceAreas(const Mask& mask, std::size_t axis);

}  // namespace consilium::engine
