// Every feature of the IBSI's reference manual, of one region of one image.
//
// Prepare does what the standard's scheme does before features: resample, round, resegment.
// IbsiFeatures then takes all families of the prepared region. Source: IBSI reference manual,
// figure "Image processing scheme", and the configurations A to E of "Reference data sets".
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/feature_list.h"
#include "engine/grey_levels.h"
#include "engine/mask_quality.h"
#include "engine/resample.h"
#include "engine/resegment.h"

namespace consilium::engine {

// How intensities are put into levels for the intensity-volume histogram.
enum class VolumeHistogramLevels {
  kDiscrete,        // intensities are whole numbers with a unit: as they are (CT)
  kFixedBinSize,    // bins of `volume_histogram_width` of a range with a unit
  kFixedBinNumber,  // 1,000 bins, without a unit
};

struct IbsiSettings {
  // The mask takes linear interpolation whatever the image takes, nearest with nearest.
  Resampling resampling;
  bool round_intensities = false;  // after resampling: CT
  Resegmentation resegmentation;
  Discretisation discretisation;  // `lowest` is set from the range where there is one
  VolumeHistogramLevels volume_histogram = VolumeHistogramLevels::kDiscrete;
  double volume_histogram_width = 2.5;
  bool by_slice = true;   // textures in 2D and 2.5D
  bool in_volume = true;  // textures in 3D
};

struct PreparedRegion {
  Image image;
  Mask morphological;  // the region as it was drawn, resampled
  Mask intensity;      // and resegmented
};
// `image` and `mask` on one grid. Errors: those of Resample and Resegment; kInvalidArgument (other
// grids; no voxel is left).
[[nodiscard]] Result<PreparedRegion> Prepare(const Image& image, const Mask& mask,
                                             const IbsiSettings& settings);

struct IbsiFeature {
  std::string_view family;       // "glcm"
  std::string_view aggregation;  // "3D:avg"; empty where a family has none
  FeatureName name;
  double value = kUndefined;
};
struct IbsiExtraction {
  std::vector<IbsiFeature> features;
  std::optional<Finding> about_levels;  // of CheckLevels
};
// Errors: those of Discretise and Morphology.
[[nodiscard]] Result<IbsiExtraction> IbsiFeatures(const PreparedRegion& region,
                                                  const IbsiSettings& settings);

// Of a filter's response, on one grid with the masks: statistics and, where `discretisation` says
// how its values become levels, histogram and textures. Errors: as above.
[[nodiscard]] Result<IbsiExtraction> IbsiResponseFeatures(
    const Image& response, const Mask& morphological, const Mask& intensity,
    const std::optional<Discretisation>& discretisation, const IbsiSettings& settings);

}  // namespace consilium::engine
