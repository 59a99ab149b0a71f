#include "engine/mask_quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/components.h"
#include "engine/resegment.h"

namespace consilium::engine {
namespace {

std::string FacesTouched(const Grid& grid, const Box& box) {
  std::vector<std::string> faces;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (grid.size[axis] == 1) continue;
    const char name = "xyz"[axis];
    if (box.first[axis] == 0) faces.push_back(fmt::format("first {}", name));
    if (box.last[axis] == grid.size[axis] - 1) faces.push_back(fmt::format("last {}", name));
  }
  return fmt::format("{}", fmt::join(faces, ", "));
}

std::string Sizes(std::vector<std::size_t> voxels) {
  constexpr std::size_t kShown = 5;
  std::sort(voxels.begin(), voxels.end(), std::greater<>());
  const std::size_t shown = std::min(voxels.size(), kShown);
  return fmt::format("{}{}",
                     fmt::join(voxels.begin(), voxels.begin() + static_cast<int>(shown), ", "),
                     shown < voxels.size() ? ", ..." : "");
}

// Planes of one z between the region's first and last that hold none of it.
int EmptySlices(const Mask& mask, const Box& box) {
  const auto plane = static_cast<std::ptrdiff_t>(mask.grid.Index(0, 0, 1));
  int empty = 0;
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    const auto begin = mask.inside.begin() + z * plane;
    if (std::find(begin, begin + plane, 1) == begin + plane) ++empty;
  }
  return empty;
}

}  // namespace

std::string_view Name(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return "note";
    case Severity::kWarning:
      return "warning";
    default:
      return "error";
  }
}

std::vector<Finding> CheckRegion(const Image& image, const Mask& mask,
                                 const PlausibleRegion& plausible) {
  std::vector<Finding> findings;
  const auto found = [&](Severity severity, std::string_view about, std::string sentence) {
    findings.push_back({severity, about, std::move(sentence)});
  };
  if (image.grid != mask.grid) {
    found(Severity::kError, "grid",
          fmt::format("the mask has {} voxels of {} mm and the image {} of {} mm; bring the mask "
                      "onto the image's grid",
                      fmt::join(mask.grid.size, " x "), fmt::join(mask.grid.spacing_mm, " x "),
                      fmt::join(image.grid.size, " x "), fmt::join(image.grid.spacing_mm, " x ")));
    return findings;
  }
  const Box box = BoundingBoxOf(mask);
  if (box.empty) {
    found(Severity::kError, "empty", "the region has no voxel; draw it, or leave the case out");
    return findings;
  }
  const std::vector<double> inside = IntensitiesOf(image, mask);
  if (inside.size() == 1)
    found(
        Severity::kError, "one_voxel",
        "the region is one voxel: it has no texture and no shape; draw it larger or leave it out");
  const std::string faces = FacesTouched(mask.grid, box);
  if (!faces.empty()) {
    found(Severity::kWarning, "border",
          fmt::format("the region touches the image's border ({}): it may go on beyond", faces));
  }
  const std::vector<std::size_t> parts = ComponentsOf(mask).voxels;
  if (parts.size() > 1) {
    found(Severity::kWarning, "components",
          fmt::format("the region falls into {} parts of {} voxels; keep the largest if the others "
                      "are slips of the pen",
                      parts.size(), Sizes(parts)));
  }
  const std::vector<std::size_t> holes = HolesOf(mask);
  if (!holes.empty()) {
    found(Severity::kNote, "holes",
          fmt::format("the region encloses {} hole{} of {} voxels", holes.size(),
                      holes.size() == 1 ? "" : "s", Sizes(holes)));
  }
  const double volume = static_cast<double>(inside.size()) * mask.grid.voxel_volume_mm3();
  const bool small = plausible.volume_min_mm3 && volume < *plausible.volume_min_mm3;
  if (small || (plausible.volume_max_mm3 && volume > *plausible.volume_max_mm3)) {
    found(Severity::kWarning, "volume",
          fmt::format("the region's volume is {:.6g} mm3, expected {} {:.6g} mm3", volume,
                      small ? "at least" : "at most",
                      small ? *plausible.volume_min_mm3 : *plausible.volume_max_mm3));
  }
  const int empty = EmptySlices(mask, box), slices = box.last[2] - box.first[2] + 1 - empty;
  if (slices < plausible.slices_min || empty > 0) {
    found(Severity::kWarning, "slices",
          fmt::format("the region is on {} slices, {} between them are empty; expected {} or more "
                      "and none between",
                      slices, empty, plausible.slices_min));
  }
  const auto not_finite = std::count_if(inside.begin(), inside.end(),
                                        [](double value) { return !std::isfinite(value); });
  if (not_finite > 0) {
    found(Severity::kError, "not_finite",
          fmt::format("{} of the region's {} intensities are not finite numbers; repair the image",
                      not_finite, inside.size()));
  } else if (inside.size() > 1 && std::all_of(inside.begin(), inside.end(), [&](double value) {
               return value == inside.front();
             })) {
    found(Severity::kError, "flat",
          "all intensities in the region are equal: is it the right image?");
  }
  return findings;
}

std::optional<Finding> CheckLevels(const GreyLevels& levels) {
  constexpr int kUsefulLevelsMin = 8, kUsefulLevelsMax = 256;
  std::vector<std::uint8_t> seen(static_cast<std::size_t>(levels.count) + 1);
  for (const std::uint16_t level : levels.levels) seen[level] = 1;
  const auto different = std::count(seen.begin(), seen.end(), 1);
  if (different < kUsefulLevelsMin) {
    return Finding{Severity::kWarning, "few_levels",
                   fmt::format("the region has {} different grey levels, expected {} or more: "
                               "textures say little; take narrower bins, or more of them",
                               different, kUsefulLevelsMin)};
  }
  if (levels.count > kUsefulLevelsMax) {
    return Finding{Severity::kWarning, "many_levels",
                   fmt::format("the region spans {} grey levels, expected {} or fewer: matrices "
                               "are nearly empty; take wider bins, or fewer of them",
                               levels.count, kUsefulLevelsMax)};
  }
  return std::nullopt;
}

}  // namespace consilium::engine
