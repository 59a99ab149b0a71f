#include "engine/pyradiomics_classes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/portable_math.h"
#include "engine/glcm.h"
#include "engine/intensity.h"
#include "engine/morphology.h"
#include "engine/ngtdm.h"
#include "engine/resegment.h"
#include "engine/runs_and_zones.h"
#include "engine/shape_2d.h"

namespace consilium::engine {
namespace {

// Visits a family; what PyRadiomics has no name for is left out.
auto Into(PyradiomicsValues& values) {
  return [&values](const FeatureName& name, const double& value) {
    if (!name.pyradiomics.empty()) values.push_back({name.pyradiomics, value});
  };
}

// What was one slice along z, y or x (0, 1, 2), along z; the other two axes in their order.
template <typename Values>
std::pair<Grid, Values> SlicesAlongZ(const Grid& grid, const Values& values, int dimension) {
  if (dimension == 0) return {grid, values};
  const std::array<std::size_t, 3> from =
      dimension == 1 ? std::array<std::size_t, 3>{0, 2, 1} : std::array<std::size_t, 3>{1, 2, 0};
  Grid turned;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    turned.size[axis] = grid.size[from[axis]];
    turned.spacing_mm[axis] = grid.spacing_mm[from[axis]];
  }
  Values result;
  result.reserve(values.size());
  std::array<int, 3> at{};  // in `grid`
  for (int z = 0; z < turned.size[2]; ++z) {
    for (int y = 0; y < turned.size[1]; ++y) {
      for (int x = 0; x < turned.size[0]; ++x) {
        at[from[0]] = x;
        at[from[1]] = y;
        at[from[2]] = z;
        result.push_back(values[grid.Index(at[0], at[1], at[2])]);
      }
    }
  }
  return {turned, std::move(result)};
}

// The features of some counts, which Add and Scale; of none, those of an empty count.
template <typename Features>
class Mean {
 public:
  void Add(const Features& features) {
    if (used_++ == 0) {
      sum_ = features;
    } else {
      sum_.Add(features);
    }
  }
  [[nodiscard]] Features Take() {
    if (used_ > 1) sum_.Scale(1.0 / used_);
    return sum_;
  }

 private:
  Features sum_;
  int used_ = 0;
};

struct GlcmAndCorrelation : Averaged<GlcmAndCorrelation> {
  GlcmFeatures glcm;
  double maximal_correlation = kUndefined;
  template <typename Features, typename Visitor>
  static void Visit(Features&& f, Visitor&& visit) {
    GlcmFeatures::Visit(f.glcm, visit);
    visit(FeatureName{"maximal_correlation", "", "MCC"}, f.maximal_correlation);
  }
};

// Of one matrix. `flat`: the region has one level.
template <typename Counts>
GlcmAndCorrelation OfMatrix(const Counts& counts, bool flat) {
  GlcmAndCorrelation f{{}, FeaturesOf(counts), flat ? 1 : MaximalCorrelationOf(counts)};
  if (!counts.empty()) {
    if (std::isnan(f.glcm.correlation)) f.glcm.correlation = 1;
    if (std::isnan(f.glcm.information_correlation_1)) f.glcm.information_correlation_1 = 0;
  }
  return f;
}

constexpr std::array<int, 1> kNext = {1};  // the distance of runs

}  // namespace

PyradiomicsImageClasses::PyradiomicsImageClasses(const Grid& grid, const Mask& mask,
                                                 std::vector<double> inside, GreyLevels levels,
                                                 const PyradiomicsImageSettings& settings)
    : settings_(settings),
      grid_(grid),
      inside_(std::move(inside)),
      levels_(std::move(levels)),
      box_(mask, levels_, *std::max_element(settings.distances.begin(), settings.distances.end())) {
}

Result<PyradiomicsImageClasses> PyradiomicsImageClasses::Of(
    Image image, Mask mask, const PyradiomicsImageSettings& settings) {
  if (settings.force_2d) {
    std::tie(image.grid, image.values) =
        SlicesAlongZ(image.grid, image.values.AsDoubles(), settings.force_2d_dimension);
    std::tie(mask.grid, mask.inside) =
        SlicesAlongZ(mask.grid, mask.inside, settings.force_2d_dimension);
  }
  Discretisation how;
  how.pyradiomics_edges = true;
  how.bin_width = settings.bin_width;
  if (settings.bin_count) {
    how.method = Discretisation::Method::kFixedBinNumber;
    how.bin_count = *settings.bin_count;
  }
  std::vector<double> inside = IntensitiesOf(image, mask);
  image.values = {};  // large, and not looked at again
  auto levels = Discretise(inside, how);
  CONSILIUM_TRY(levels);
  return PyradiomicsImageClasses(image.grid, mask, std::move(inside), std::move(*levels), settings);
}

double PyradiomicsImageClasses::LengthOf(const Direction& direction) const {
  const double x = std::abs(direction.x) * grid_.spacing_mm[0],
               y = std::abs(direction.y) * grid_.spacing_mm[1],
               z = std::abs(direction.z) * grid_.spacing_mm[2];
  switch (settings_.weighting) {
    case PyradiomicsWeighting::kManhattan:
      return x + y + z;
    case PyradiomicsWeighting::kEuclidean:
      return std::sqrt(x * x + y * y + z * z);
    case PyradiomicsWeighting::kInfinity:
      return std::max({x, y, z});
    default:
      return 0;
  }
}

PyradiomicsValues PyradiomicsImageClasses::FirstOrder() const {
  IntensityFeatures f = IntensityStatistics(inside_);
  f.kurtosis = f.variance > 0 ? f.kurtosis + 3 : 0;
  if (const double shift = settings_.voxel_array_shift; shift != 0) {
    f.energy = 0;
    for (const double x : inside_) f.energy += (x + shift) * (x + shift);
    f.root_mean_square = std::sqrt(f.energy / static_cast<double>(inside_.size()));
  }
  PyradiomicsValues values = {{"TotalEnergy", f.energy * grid_.voxel_volume_mm3()},
                              {"StandardDeviation", std::sqrt(f.variance)}};
  IntensityFeatures::Visit(f, Into(values));
  HistogramFeatures::Visit(IntensityHistogram(levels_), Into(values));
  return values;
}

Result<PyradiomicsValues> PyradiomicsImageClasses::Glcm() const {
  if (levels_.count > kPyradiomicsBinCountMax) {
    return Fail(ErrorCode::kOutOfRange,
                fmt::format("{} grey levels, expected at most {} for a GLCM; widen the bins",
                            levels_.count, kPyradiomicsBinCountMax));
  }
  const bool flat = std::all_of(levels_.levels.begin(), levels_.levels.end(),
                                [&](std::uint16_t level) { return level == levels_.levels[0]; });
  const auto directions = DirectionsAt(settings_.distances, settings_.force_2d);
  GlcmAndCorrelation f;
  if (settings_.weighting == PyradiomicsWeighting::kSeparate) {
    Mean<GlcmAndCorrelation> mean;
    for (const Direction& direction : directions) {
      const CooccurrenceCounts counts(box_, direction, 1);
      if (counts.empty()) continue;
      if (settings_.symmetrical_glcm) {
        mean.Add(OfMatrix(counts, flat));
      } else {
        WeightedCooccurrence one_way;
        one_way.Add(counts, 1, false);
        mean.Add(OfMatrix(one_way, flat));
      }
    }
    f = mean.Take();
  } else {
    WeightedCooccurrence sum;
    for (const Direction& direction : directions) {
      const double length = LengthOf(direction);
      sum.Add(CooccurrenceCounts(box_, direction, 1), Exp(-length * length),
              settings_.symmetrical_glcm);
    }
    f = OfMatrix(sum, flat);
  }
  PyradiomicsValues values;
  GlcmAndCorrelation::Visit(f, Into(values));
  return values;
}

PyradiomicsValues PyradiomicsImageClasses::Glrlm() const {
  Mean<SizeFeatures> mean;
  SizeCounts sum;
  for (const Direction& direction : DirectionsAt(kNext, settings_.force_2d)) {
    if (!HasTwoInLine(box_, direction)) continue;
    SizeCounts counts = RunCounts(box_, direction);
    if (settings_.weighting == PyradiomicsWeighting::kSeparate) {
      mean.Add(FeaturesOf(counts));
      continue;
    }
    if (settings_.weighting != PyradiomicsWeighting::kNoWeighting)
      counts.Scale(LengthOf(direction));
    sum.Add(counts);
  }
  PyradiomicsValues values;
  VisitAs(settings_.weighting == PyradiomicsWeighting::kSeparate ? mean.Take() : FeaturesOf(sum),
          GlrlmNames(), Into(values));
  return values;
}

PyradiomicsValues PyradiomicsImageClasses::Gldm() const {
  const auto steps = StepsBothWays(box_, DirectionsAt(settings_.distances, settings_.force_2d));
  PyradiomicsValues values;
  VisitAs(FeaturesOf(DependenceCounts(box_, steps, settings_.gldm_alpha)), NgldmNames(),
          Into(values));
  return values;
}

PyradiomicsValues PyradiomicsImageClasses::Ngtdm() const {
  const auto steps = StepsBothWays(box_, DirectionsAt(settings_.distances, settings_.force_2d));
  PyradiomicsValues values;
  NgtdmFeatures::Visit(FeaturesOf(CountDifferences(box_, steps)), Into(values));
  return values;
}

Result<PyradiomicsValues> PyradiomicsImageClasses::ValuesOf(std::string_view feature_class) const {
  if (feature_class == "firstorder") return FirstOrder();
  if (feature_class == "glcm") return Glcm();
  if (feature_class == "gldm") return Gldm();
  if (feature_class == "glrlm") return Glrlm();
  if (feature_class == "ngtdm") return Ngtdm();
  if (feature_class == "glszm") {
    PyradiomicsValues values;
    VisitAs(FeaturesOf(CountZones(box_, -1, {}, settings_.force_2d).by_size), GlszmNames(),
            Into(values));
    return values;
  }
  return Fail(ErrorCode::kNotFound, fmt::format("there is no feature class '{}'", feature_class));
}

Result<PyradiomicsValues> PyradiomicsShape(const Mask& mask) {
  MorphologyOptions options;
  options.sample_covariance = false;
  options.mesh = MeshRule::kPyradiomics;
  const auto shape = ShapeOf(mask, options);
  CONSILIUM_TRY(shape);
  PyradiomicsValues values;
  MorphologyFeatures::Visit(*shape, Into(values));
  return values;
}

Result<PyradiomicsValues> PyradiomicsShape2d(const Mask& mask, int dimension) {
  const Box box = BoundingBoxOf(mask);
  const auto [grid, inside] = SlicesAlongZ(mask.grid, mask.inside, dimension);
  const std::size_t across = static_cast<std::size_t>(2 - dimension);
  if (box.empty || box.first[across] != box.last[across]) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the region spans {} voxels across slices (force2Ddimension {}), and "
                            "shape2D is of one slice; leave shape2D out, or draw one slice",
                            box.empty ? 0 : box.last[across] - box.first[across] + 1, dimension));
  }
  const auto pixels =
      static_cast<std::size_t>(grid.size[0]) * static_cast<std::size_t>(grid.size[1]);
  const auto first = inside.begin() + static_cast<std::ptrdiff_t>(
                                          pixels * static_cast<std::size_t>(box.first[across]));
  const SliceMask slice{grid.size[1],
                        grid.size[0],
                        {grid.spacing_mm[1], grid.spacing_mm[0]},
                        {first, first + static_cast<std::ptrdiff_t>(pixels)}};
  const SliceShape f = ShapeOfSlice(slice);
  const double sphericity = 2 * std::sqrt(std::numbers::pi * f.mesh_surface) / f.perimeter;
  return PyradiomicsValues{{"MeshSurface", f.mesh_surface},
                           {"PixelSurface", f.pixel_surface},
                           {"Perimeter", f.perimeter},
                           {"PerimeterSurfaceRatio", f.perimeter / f.mesh_surface},
                           {"Sphericity", sphericity},
                           {"SphericalDisproportion", 1 / sphericity},
                           {"MaximumDiameter", f.maximum_diameter},
                           {"MajorAxisLength", f.major_axis_length},
                           {"MinorAxisLength", f.minor_axis_length},
                           {"Elongation", f.elongation}};
}

}  // namespace consilium::engine
