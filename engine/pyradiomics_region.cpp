#include "engine/pyradiomics_region.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "engine/intensity.h"
#include "engine/resample.h"
#include "engine/resegment.h"

namespace consilium::engine {
namespace {

std::int64_t VoxelsOf(const Mask& mask) { return static_cast<std::int64_t>(VoxelsIn(mask)); }

// The deviation divides by n - 1, as ITK's does.
Result<Image> Normalised(const Image& image, const PyradiomicsSettings& settings) {
  const auto n = static_cast<double>(image.values.size());
  double sum = 0, squares = 0;
  for (const double x : image.values) sum += x;
  const double mean = sum / n;
  for (const double x : image.values) squares += (x - mean) * (x - mean);
  const double deviation = std::sqrt(squares / (n - 1));
  if (!(deviation > 0) || !std::isfinite(deviation)) {
    return Fail(ErrorCode::kInvalidArgument,
                "normalize: all intensities of the image are equal or some are not finite numbers; "
                "leave normalize out or repair the image");
  }
  const double scale = 1 / deviation;
  std::vector<double> values;
  values.reserve(image.values.size());
  for (double x : image.values) {
    x = (x - mean) * scale;
    if (const auto& most = settings.remove_outliers) x = std::clamp(x, -*most, *most);
    values.push_back(x * settings.normalize_scale);
  }
  return Image{image.grid, std::move(values)};
}

Result<void> CheckSettings(const PyradiomicsSettings& settings) {
  const auto wrong = [](std::string_view setting, double found, std::string_view expected) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} = {}, must be {}", setting, found, expected));
  };
  if (!(settings.normalize_scale > 0))
    return wrong("normalizeScale", settings.normalize_scale, "> 0");
  if (settings.remove_outliers && !(*settings.remove_outliers > 0))
    return wrong("removeOutliers", *settings.remove_outliers, "> 0");
  if (settings.pad_distance < 0) return wrong("padDistance", settings.pad_distance, ">= 0");
  if (settings.minimum_roi_dimensions < 1 || settings.minimum_roi_dimensions > 3)
    return wrong("minimumROIDimensions", settings.minimum_roi_dimensions, "1, 2 or 3");
  if (settings.resegment_range.size() > 2) {
    return wrong("values in resegmentRange", static_cast<double>(settings.resegment_range.size()),
                 "a lower end, or both ends");
  }
  if (settings.force_2d_dimension < 0 || settings.force_2d_dimension > 2)
    return wrong("force2Ddimension", settings.force_2d_dimension, "0, 1 or 2");
  if (settings.resampled_spacing_mm) {
    for (const double spacing : *settings.resampled_spacing_mm) {
      if (!(spacing >= 0) || !std::isfinite(spacing))
        return wrong("resampledPixelSpacing", spacing, ">= 0");
    }
  }
  return {};
}

// The region's box, if it is large enough.
Result<Box> CheckedBox(const Mask& mask, const PyradiomicsSettings& settings,
                       std::string_view when) {
  const Box box = BoundingBoxOf(mask);
  int dimensions = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) dimensions += box.last[axis] > box.first[axis];
  const auto small = [&](std::string_view found, std::string_view expected) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the region{} {}, expected {}; draw it larger or leave it out", when,
                            found, expected));
  };
  if (box.empty) return small("has no voxel", "one or more");
  if (dimensions == 0) return small("has a single voxel", "two or more");
  if (dimensions < settings.minimum_roi_dimensions) {
    return small(fmt::format("spans several voxels along {} axes", dimensions),
                 fmt::format("{} (minimumROIDimensions)", settings.minimum_roi_dimensions));
  }
  const std::int64_t voxels = VoxelsOf(mask);
  if (settings.minimum_roi_size && voxels <= *settings.minimum_roi_size) {
    return small(fmt::format("has {} voxels", voxels),
                 fmt::format("more than {} (minimumROISize)", *settings.minimum_roi_size));
  }
  return box;
}

// `mask` less the voxels outside resegmentRange.
Result<Mask> Resegmented(const Image& image, const Mask& mask,
                         const PyradiomicsSettings& settings) {
  std::vector<double> ends = settings.resegment_range;
  std::sort(ends.begin(), ends.end());
  if (settings.resegment_mode != PyradiomicsResegmentMode::kAbsolute) {
    const std::vector<double> inside = IntensitiesOf(image, mask);
    const IntensityFeatures f = IntensityStatistics(inside);
    for (double& end : ends) {
      end = settings.resegment_mode == PyradiomicsResegmentMode::kRelative
                ? f.maximum * end
                : f.mean + std::sqrt(f.variance) * end;
    }
  }
  Resegmentation how;
  how.low = ends[0];
  if (ends.size() > 1) how.high = ends[1];
  return Resegment(image, mask, how);
}

Interpolation InterpolationOf(PyradiomicsInterpolator interpolator) {
  switch (interpolator) {
    case PyradiomicsInterpolator::kNearest:
      return Interpolation::kNearest;
    case PyradiomicsInterpolator::kLinear:
      return Interpolation::kLinear;
    default:
      return Interpolation::kCubicSpline;
  }
}

}  // namespace

Result<PyradiomicsRegion> PreparePyradiomics(const Image& image, const Mask& mask,
                                             const PyradiomicsSettings& settings,
                                             PyradiomicsDiagnostics& diagnostics) {
  CONSILIUM_TRY(CheckSettings(settings));
  if (image.grid != mask.grid)
    return Fail(ErrorCode::kInvalidArgument, "image and mask lie on different grids");
  PyradiomicsRegion region(image);
  const auto change = [&](Image changed) { region.changed_ = std::move(changed); };
  Mask whole = mask;
  if (settings.normalize) {
    auto normalised = Normalised(image, settings);
    CONSILIUM_TRY(normalised);
    change(std::move(*normalised));
  }
  const Box given = BoundingBoxOf(whole);
  if (given.empty) return Fail(ErrorCode::kInvalidArgument, "the region has no voxel");
  bool crop = settings.pre_crop;
  if (settings.resampled_spacing_mm) {
    std::array<double, 3> spacing = *settings.resampled_spacing_mm;
    crop = true;  // where the voxels are of that size already
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double old = image.grid.spacing_mm[axis];
      if (spacing[axis] == 0 || given.first[axis] == given.last[axis]) spacing[axis] = old;
      crop = crop && std::abs(old - spacing[axis]) <= 1e-8 + 1e-5 * spacing[axis];
    }
    if (!crop) {
      const auto to = GridAround(given, image.grid, spacing, settings.pad_distance);
      CONSILIUM_TRY(to);
      change(Resample(region.image(), *to, InterpolationOf(settings.interpolator)));
      whole = Resample(whole, *to);
    }
  }
  if (crop) {
    const Box padded = Padded(given, settings.pad_distance, image.grid);
    change(Cut(region.image(), padded));
    whole = Cut(whole, padded);
  }
  auto box = CheckedBox(whole, settings, "");
  CONSILIUM_TRY(box);
  diagnostics.grid = whole.grid;
  diagnostics.voxel_count = diagnostics.resegmented_voxel_count = VoxelsOf(whole);
  diagnostics.volume_mm3 =
      static_cast<double>(diagnostics.voxel_count) * whole.grid.voxel_volume_mm3();
  std::optional<Mask> resegmented;
  if (!settings.resegment_range.empty()) {
    auto mask_in_range = Resegmented(region.image(), whole, settings);
    CONSILIUM_TRY(mask_in_range);
    resegmented = std::move(*mask_in_range);
    box = CheckedBox(*resegmented, settings, " after resegmentation");
    CONSILIUM_TRY(box);
    diagnostics.resegmented_voxel_count = VoxelsOf(*resegmented);
  }
  region.box = *box;
  region.intensity_mask = Cut(resegmented ? *resegmented : whole, region.box);
  region.shape_mask = settings.resegment_shape ? region.intensity_mask : Cut(whole, region.box);
  const std::int64_t kept = VoxelsOf(region.shape_mask);
  if (!settings.resegment_shape && kept < diagnostics.voxel_count) {
    diagnostics.warnings.push_back(fmt::format(
        "shape is of {} of the region's {} voxels: as PyRadiomics does, it is taken within the box "
        "of what resegmentation left",
        kept, diagnostics.voxel_count));
  }
  return region;
}

}  // namespace consilium::engine
