// Any bytes as a structure set and as a segmentation: no crash, errors have a text, and what is
// accepted is within its bounds and can be made into masks.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/dicom/segmentation.h"
#include "engine/dicom/structure_set.h"
#include "engine/reconcile.h"

namespace {

using namespace consilium::engine;
using namespace consilium::engine::dicom;

void Hold(bool condition) {
  if (!condition) std::abort();
}

const Grid kGrid{{16, 12, 10}, {1, 1.5, 3}};

void Try(const StructureSet& set) {
  Hold(set.rois.size() <= kRoisMax);
  for (const Roi& roi : set.rois) {
    for (const auto& contour : roi.contours) Hold(contour.size() >= 3);
    const auto mask = MaskOf(roi, kGrid, {});
    Hold(mask ? mask->mask.inside.size() == kGrid.voxel_count() : !mask.error().message.empty());
    Hold(!mask || std::count(mask->mask.inside.begin(), mask->mask.inside.end(), 1) > 0);
  }
}

void Try(const Segmentation& segmentation) {
  constexpr std::size_t kVoxelsTried = 1 << 20;  // larger grids are tried once by the tests
  if (segmentation.grid.voxel_count() > kVoxelsTried) return;
  for (const Segment& segment : segmentation.segments) {
    const PlacedMask mask = MaskOf(segmentation, segment.number);
    Hold(mask.mask.inside.size() == segmentation.grid.voxel_count());
    const auto reconciled = Reconcile(mask, kGrid, {});
    Hold(reconciled.has_value() || !reconciled.error().message.empty());
    if (&segment - segmentation.segments.data() > 4) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto set = ParseStructureSet(bytes);
  if (set) Try(*set);
  const auto segmentation = ParseSegmentation(bytes);
  if (segmentation) Try(*segmentation);
  Hold(set.has_value() || !set.error().message.empty());
  Hold(segmentation.has_value() || !segmentation.error().message.empty());
  return 0;
}
