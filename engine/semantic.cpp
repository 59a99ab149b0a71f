#include "engine/semantic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/morphology.h"
#include "engine/otsu.h"
#include "engine/resegment.h"

namespace consilium::engine {
namespace {

double SliceVoxelArea(const Grid& grid, std::size_t axis) {
  return grid.spacing_mm[(axis + 1) % 3] * grid.spacing_mm[(axis + 2) % 3];
}

// The part of the region that is brighter.
Mask Brighter(const Image& image, const Mask& mask, double threshold) {
  Mask bright = mask;
  for (std::size_t i = 0; i < bright.inside.size(); ++i) {
    if (!(image.values[i] > threshold)) bright.inside[i] = 0;
  }
  return bright;
}

}  // namespace

std::vector<double> SliceAreas(const Mask& mask, std::size_t axis) {
  std::vector<double> areas(static_cast<std::size_t>(mask.grid.size[axis]));
  std::size_t i = 0;
  for (int z = 0; z < mask.grid.size[2]; ++z) {
    for (int y = 0; y < mask.grid.size[1]; ++y) {
      for (int x = 0; x < mask.grid.size[0]; ++x, ++i)
        areas[static_cast<std::size_t>(std::array{x, y, z}[axis])] += mask.inside[i];
    }
  }
  for (double& area : areas) area *= SliceVoxelArea(mask.grid, axis);
  return areas;
}

Result<SemanticFeatures> Semantic(const Image& image, const Mask& mask,
                                  const SemanticOptions& options) {
  if (image.grid != mask.grid)
    return Fail(ErrorCode::kInvalidArgument, "image and mask lie on different grids");
  const std::size_t axis = options.axis;
  if (axis > 2 ||
      (options.level && (*options.level < 0 || *options.level >= mask.grid.size[axis]))) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("slice {} across axis {}, expected one of {} slices across axis 0, 1 "
                            "or 2",
                            options.level.value_or(0), axis, fmt::join(mask.grid.size, ", ")));
  }
  const auto shape = ShapeOf(mask);
  CONSILIUM_TRY(shape);
  SemanticFeatures f;
  const std::vector<double> areas = SliceAreas(mask, axis);
  const auto largest = std::max_element(areas.begin(), areas.end());
  const auto level =
      static_cast<std::size_t>(options.level.value_or(static_cast<int>(largest - areas.begin())));
  double sum = 0;
  f.slice_count = 0;
  for (const double area : areas) {
    sum += area;
    if (area > 0) ++f.slice_count;
  }
  f.area_largest = *largest;
  f.area_mean = sum / f.slice_count;
  f.area_at_level = areas[level];
  f.maximum_diameter = shape->maximum_diameter;
  f.maximum_diameter_in_slice =
      std::array{shape->maximum_diameter_row, shape->maximum_diameter_column,
                 shape->maximum_diameter_slice}[axis];
  f.fat_threshold = options.fat_threshold.value_or(kUndefined);
  if (!options.fat_threshold) {
    const auto otsu = OtsuThreshold(IntensitiesOf(image, mask));
    if (otsu) {
      f.fat_threshold = *otsu;
    } else if (otsu.error().code == ErrorCode::kInvalidArgument) {
      return tl::unexpected<Error>(otsu.error());
    }
  }
  if (std::isnan(f.fat_threshold)) return f;
  const std::vector<double> fat = SliceAreas(Brighter(image, mask, f.fat_threshold), axis);
  double fat_sum = 0;
  for (const double area : fat) fat_sum += area;
  f.fat_fraction = fat_sum / sum;
  if (areas[level] > 0) f.fat_fraction_at_level = fat[level] / areas[level];
  f.lean_area_at_level = areas[level] - fat[level];
  return f;
}

}  // namespace consilium::engine
