#include "engine/pyradiomics.h"

#include <cmath>

#include "engine/glcm.h"
#include "engine/grey_levels.h"
#include "engine/intensity.h"
#include "engine/morphology.h"
#include "engine/ngtdm.h"
#include "engine/resegment.h"
#include "engine/runs_and_zones.h"

namespace consilium::engine {
namespace {

class Features {
 public:
  // Visits a family under a class; what PyRadiomics has no name for is left out.
  [[nodiscard]] auto Into(std::string_view feature_class) {
    return [this, feature_class](const FeatureName& name, const double& value) {
      if (!name.pyradiomics.empty()) Put(feature_class, name.pyradiomics, value);
    };
  }
  void Put(std::string_view feature_class, std::string_view name, double value) {
    all_.push_back({feature_class, name, value});
  }
  [[nodiscard]] std::vector<PyradiomicsFeature> Take() { return std::move(all_); }

 private:
  std::vector<PyradiomicsFeature> all_;
};

// One of a family's features under another rule.
struct MaximalCorrelation : Averaged<MaximalCorrelation> {
  double value = kUndefined;
  template <typename Self, typename Visitor>
  static void Visit(Self&& f, Visitor&& visit) {
    visit(FeatureName{"maximal_correlation", "", "MCC"}, f.value);
  }
};

void PutFirstOrder(const std::vector<double>& inside, const GreyLevels& levels, double voxel_mm3,
                   const PyradiomicsSettings& settings, Features& features) {
  IntensityFeatures f = IntensityStatistics(inside);
  f.kurtosis = f.variance > 0 ? f.kurtosis + 3 : 0;
  if (settings.voxel_array_shift != 0) {
    f.energy = 0;
    for (const double x : inside)
      f.energy += (x + settings.voxel_array_shift) * (x + settings.voxel_array_shift);
    f.root_mean_square = std::sqrt(f.energy / static_cast<double>(inside.size()));
  }
  IntensityFeatures::Visit(f, features.Into("firstorder"));
  features.Put("firstorder", "TotalEnergy", f.energy * voxel_mm3);
  HistogramFeatures::Visit(IntensityHistogram(levels), features.Into("firstorder"));
}

void PutGlcm(const LevelBox& box, Features& features) {
  const auto counts = CountBySliceAndDirection<CooccurrenceCounts>(
      box, Aggregation::k3dAverage,
      [&](const Direction& direction, int z) { return CooccurrenceCounts(box, direction, 1, z); });
  GlcmFeatures f =
      AggregateFeatures(counts, Aggregation::k3dAverage, [](const CooccurrenceCounts& one) {
        GlcmFeatures of_one = FeaturesOf(one);
        // Of a single level: 0 / 0, which PyRadiomics sets.
        if (std::isnan(of_one.correlation) && !one.empty()) of_one.correlation = 1;
        if (std::isnan(of_one.information_correlation_1) && !one.empty())
          of_one.information_correlation_1 = 0;
        return of_one;
      });
  GlcmFeatures::Visit(f, [&](const FeatureName& name, const double& value) {
    // Dissimilarity and sum variance are deprecated: others' twins.
    if (name.name != "dissimilarity" && name.name != "sum_variance")
      features.Into("glcm")(name, value);
  });
  const auto correlation =
      AggregateFeatures(counts, Aggregation::k3dAverage, [](const CooccurrenceCounts& one) {
        MaximalCorrelation of_one;
        of_one.value = MaximalCorrelationOf(one);
        return of_one;
      });
  features.Put("glcm", "MCC", correlation.value);
}

}  // namespace

Result<std::vector<PyradiomicsFeature>> PyradiomicsIntensityFeatures(
    const Image& image, const Mask& mask, const PyradiomicsSettings& settings) {
  if (image.grid != mask.grid)
    return Fail(ErrorCode::kInvalidArgument, "image and mask lie on different grids");
  const std::vector<double> inside = IntensitiesOf(image, mask);
  Discretisation how;
  how.bin_width = settings.bin_width;
  how.edges_at_multiples = true;
  const auto levels = Discretise(inside, how);
  CONSILIUM_TRY(levels);
  const LevelBox box(mask, *levels);
  Features features;
  PutFirstOrder(inside, *levels, image.grid.voxel_volume_mm3(), settings, features);
  PutGlcm(box, features);
  VisitAs(Glrlm(box, Aggregation::k3dAverage), GlrlmNames(), features.Into("glrlm"));
  VisitAs(FeaturesOf(CountZones(box, -1, {}).by_size), GlszmNames(), features.Into("glszm"));
  VisitAs(Ngldm(box, Aggregation::k3dMerge), NgldmNames(),
          [&](const FeatureName& name, const double& value) {
            // GLDM leaves out the percentage, which is 1, and the grey levels' normalised
            // non-uniformity, which is first order's uniformity.
            if (name.name != "dependence_count_percentage" &&
                name.name != "grey_level_non_uniformity_normalised")
              features.Into("gldm")(name, value);
          });
  NgtdmFeatures::Visit(Ngtdm(box, Aggregation::k3dMerge), features.Into("ngtdm"));
  return features.Take();
}

Result<std::vector<PyradiomicsFeature>> PyradiomicsShapeFeatures(const Mask& mask) {
  MorphologyOptions options;
  options.sample_covariance = false;
  options.mesh = MeshRule::kPyradiomics;
  const auto shape = ShapeOf(mask, options);
  CONSILIUM_TRY(shape);
  Features features;
  MorphologyFeatures::Visit(*shape, [&](const FeatureName& name, const double& value) {
    const bool deprecated =
        name.pyradiomics.starts_with("Compactness") || name.pyradiomics == "SphericalDisproportion";
    if (!deprecated) features.Into("shape")(name, value);
  });
  return features.Take();
}

}  // namespace consilium::engine
