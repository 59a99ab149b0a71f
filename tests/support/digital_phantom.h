// The digital phantom of the IBSI: 5 x 4 x 4 voxels of 2 mm, 74 of them in the region, levels 1, 3,
// 4 and 6. Source: IBSI reference manual v11, "Digital phantom" (CC BY 4.0).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/grey_levels.h"
#include "engine/grid.h"

namespace consilium::testing {

struct DigitalPhantom {
  engine::Image image;
  engine::Mask mask;
  std::vector<double> inside;  // [74] intensities of the region
};

// '.': outside the region.
inline DigitalPhantom MakeDigitalPhantom() {
  constexpr std::string_view kVoxels =
      "14411"
      "14611"
      "41641"
      "44641"
      "14411"
      "11611"
      ".1311"
      "44611"
      "144.."
      "11111"
      "11.11"
      "11611"
      "144.."
      "11111"
      "11111"
      "11611";
  DigitalPhantom phantom;
  phantom.image.grid = phantom.mask.grid = {{5, 4, 4}, {2, 2, 2}};
  for (const char voxel : kVoxels) {
    const bool inside = voxel != '.';
    const bool bright = phantom.image.values.size() == 52;  // a hole in the third slice
    phantom.image.values.Doubles().push_back(inside ? voxel - '0' : bright ? 9 : 1);
    phantom.mask.inside.push_back(inside ? 1 : 0);
    if (inside) phantom.inside.push_back(voxel - '0');
  }
  return phantom;
}

}  // namespace consilium::testing
