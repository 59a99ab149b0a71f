// What is suspicious about a region, before a number is taken from it.
//
// Nothing here changes a mask or stops an extraction: every finding is a plain sentence with its
// severity, for the one who drew the region and for the table's notes. Bounds of what is plausible
// come from the caller, who knows the organ.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/grey_levels.h"
#include "engine/grid.h"

namespace consilium::engine {

enum class Severity {
  kNote,     // worth knowing
  kWarning,  // features may mean something else than thought
  kError,    // there are no features, or none to trust
};
[[nodiscard]] std::string_view Name(Severity severity);

struct Finding {
  Severity severity = Severity::kNote;
  std::string_view about;  // "border": stable, one noun a check
  std::string sentence;
};

struct PlausibleRegion {
  std::optional<double> volume_min_mm3, volume_max_mm3;
  int slices_min = 1;  // planes of one z that hold voxels of the region
};
// In this order, each at most once:
//   grid        error    image and mask do not match; nothing else is looked at
//   empty       error    no voxel; nothing else is looked at
//   one_voxel   error    no texture and no shape
//   border      warning  touches faces of the image (an axis of one voxel has none): names them
//   components  warning  more than one part by 26 neighbours: sizes of the largest five
//   holes       note     parts of the outside that are enclosed (6 neighbours)
//   volume      warning  beyond `volume_min_mm3`, `volume_max_mm3`
//   slices      warning  fewer than `slices_min`, or empty ones between the first and the last
//   not_finite  error    intensities inside that are infinite or NaN
//   flat        error    all intensities inside are equal
[[nodiscard]] std::vector<Finding> CheckRegion(const Image& image, const Mask& mask,
                                               const PlausibleRegion& plausible = {});

// A warning where fewer than 8 different levels occur in the region (textures say little) or N_g is
// beyond 256 (matrices are nearly empty).
[[nodiscard]] std::optional<Finding> CheckLevels(const GreyLevels& levels);

}  // namespace consilium::engine
