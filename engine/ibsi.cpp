#include "engine/ibsi.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "engine/glcm.h"
#include "engine/intensity.h"
#include "engine/local_intensity.h"
#include "engine/morphology.h"
#include "engine/ngtdm.h"
#include "engine/runs_and_zones.h"

namespace consilium::engine {
namespace {

struct NamedAggregation {
  std::string_view name;
  Aggregation how;
};
constexpr std::array<NamedAggregation, 4> kDirectionsBySlice = {
    {{"2D:avg", Aggregation::k2dAverage},
     {"2D:mrg", Aggregation::k2dMerge},
     {"2.5D:dmrg", Aggregation::k25dDirectionMerge},
     {"2.5D:vmrg", Aggregation::k25dMerge}}};
constexpr std::array<NamedAggregation, 2> kDirectionsInVolume = {
    {{"3D:avg", Aggregation::k3dAverage}, {"3D:mrg", Aggregation::k3dMerge}}};
constexpr std::array<NamedAggregation, 2> kBySlice = {
    {{"2D", Aggregation::k2dAverage}, {"2.5D", Aggregation::k25dMerge}}};
constexpr std::array<NamedAggregation, 1> kInVolume = {{{"3D", Aggregation::k3dMerge}}};

// Lowest and highest intensity that a range with a unit spans.
std::pair<double, double> SpanOf(std::span<const double> inside, const Resegmentation& range) {
  const auto [low, high] = std::minmax_element(inside.begin(), inside.end());
  return {range.low.value_or(*low), range.high.value_or(*high)};
}

Result<VolumeHistogramFeatures> VolumeHistogram(std::span<const double> inside,
                                                const IbsiSettings& settings) {
  constexpr int kBinsWithoutUnit = 1000;
  Discretisation how;
  if (settings.volume_histogram == VolumeHistogramLevels::kFixedBinNumber) {
    how.method = Discretisation::Method::kFixedBinNumber;
    how.bin_count = kBinsWithoutUnit;
    const auto levels = Discretise(inside, how);
    CONSILIUM_TRY(levels);
    return IntensityVolumeHistogram(levels->levels, levels->count, 1, 1);
  }
  const bool discrete = settings.volume_histogram == VolumeHistogramLevels::kDiscrete;
  const auto [low, high] = SpanOf(inside, settings.resegmentation);
  how.bin_width = discrete ? 1 : settings.volume_histogram_width;
  how.lowest = low;
  const auto levels = Discretise(inside, how);
  CONSILIUM_TRY(levels);
  const int count = discrete ? static_cast<int>(std::floor(high - low)) + 1
                             : static_cast<int>(std::ceil((high - low) / how.bin_width));
  // A discrete intensity is its own; a bin's is its centre.
  return IntensityVolumeHistogram(levels->levels, std::max(count, levels->count),
                                  discrete ? low : low + how.bin_width / 2, how.bin_width);
}

// Adds features under a family.
struct Collected {
  std::vector<IbsiFeature> features;
  [[nodiscard]] auto Into(std::string_view family, std::string_view aggregation = "") {
    return [this, family, aggregation](const FeatureName& name, const double& value) {
      features.push_back({family, aggregation, name, value});
    };
  }
};

void PutTextures(const LevelBox& box, const Mask& morphological, const IbsiSettings& settings,
                 Collected& all) {
  const auto with_directions = [&](std::span<const NamedAggregation> aggregations) {
    for (const auto& [name, aggregation] : aggregations) {
      GlcmFeatures::Visit(Glcm(box, aggregation), all.Into("glcm", name));
      VisitAs(Glrlm(box, aggregation), GlrlmNames(), all.Into("glrlm", name));
    }
  };
  const auto without_directions = [&](std::span<const NamedAggregation> aggregations) {
    for (const auto& [name, aggregation] : aggregations) {
      const ZoneFeatures zones = ZonesOf(box, morphological, aggregation);
      VisitAs(zones.glszm, GlszmNames(), all.Into("glszm", name));
      VisitAs(zones.gldzm, GldzmNames(), all.Into("gldzm", name));
      NgtdmFeatures::Visit(Ngtdm(box, aggregation), all.Into("ngtdm", name));
      VisitAs(Ngldm(box, aggregation), NgldmNames(), all.Into("ngldm", name));
    }
  };
  if (settings.by_slice) {
    with_directions(kDirectionsBySlice);
    without_directions(kBySlice);
  }
  if (settings.in_volume) {
    with_directions(kDirectionsInVolume);
    without_directions(kInVolume);
  }
}

}  // namespace

Result<PreparedRegion> Prepare(const Image& image, const Mask& mask, const IbsiSettings& settings) {
  if (image.grid != mask.grid)
    return Fail(ErrorCode::kInvalidArgument, "image and mask lie on different grids");
  Resampling for_mask = settings.resampling;
  if (for_mask.interpolation != Interpolation::kNearest)
    for_mask.interpolation = Interpolation::kLinear;
  auto new_image = Resample(image, settings.resampling);
  CONSILIUM_TRY(new_image);
  auto new_mask = Resample(mask, for_mask);
  CONSILIUM_TRY(new_mask);
  if (settings.round_intensities) RoundIntensities(*new_image);
  auto intensity = Resegment(*new_image, *new_mask, settings.resegmentation);
  CONSILIUM_TRY(intensity);
  return PreparedRegion{std::move(*new_image), std::move(*new_mask), std::move(*intensity)};
}

Result<IbsiExtraction> IbsiFeatures(const PreparedRegion& region, const IbsiSettings& settings) {
  Collected all;
  const std::vector<double> inside = IntensitiesOf(region.image, region.intensity);
  const auto shape = Morphology(region.image, region.morphological, region.intensity);
  CONSILIUM_TRY(shape);
  MorphologyFeatures::Visit(*shape, all.Into("morphology"));
  LocalIntensityFeatures::Visit(LocalIntensity(region.image, region.intensity),
                                all.Into("local_intensity"));
  IntensityFeatures::Visit(IntensityStatistics(inside), all.Into("intensity_statistics"));

  Discretisation how = settings.discretisation;
  if (!how.lowest && !how.pyradiomics_edges) how.lowest = settings.resegmentation.low;
  const auto levels = Discretise(inside, how);
  CONSILIUM_TRY(levels);
  HistogramFeatures::Visit(IntensityHistogram(*levels), all.Into("intensity_histogram"));
  const auto volume_histogram = VolumeHistogram(inside, settings);
  CONSILIUM_TRY(volume_histogram);
  VolumeHistogramFeatures::Visit(*volume_histogram, all.Into("intensity_volume_histogram"));
  PutTextures(LevelBox(region.intensity, *levels), region.morphological, settings, all);
  return IbsiExtraction{std::move(all.features), CheckLevels(*levels)};
}

Result<IbsiExtraction> IbsiResponseFeatures(const Image& response, const Mask& morphological,
                                            const Mask& intensity,
                                            const std::optional<Discretisation>& discretisation,
                                            const IbsiSettings& settings) {
  Collected all;
  const std::vector<double> inside = IntensitiesOf(response, intensity);
  if (inside.empty()) return Fail(ErrorCode::kInvalidArgument, "the region has no voxel");
  IntensityFeatures::Visit(IntensityStatistics(inside), all.Into("intensity_statistics"));
  if (!discretisation) return IbsiExtraction{std::move(all.features), std::nullopt};
  const auto levels = Discretise(inside, *discretisation);
  CONSILIUM_TRY(levels);
  HistogramFeatures::Visit(IntensityHistogram(*levels), all.Into("intensity_histogram"));
  PutTextures(LevelBox(intensity, *levels), morphological, settings, all);
  return IbsiExtraction{std::move(all.features), CheckLevels(*levels)};
}

}  // namespace consilium::engine
