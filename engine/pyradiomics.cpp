#include "engine/pyradiomics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "engine/filter/gradient.h"
#include "engine/filter/local_binary_pattern_3d.h"
#include "engine/filter/pixelwise.h"
#include "engine/filter/recursive_laplacian.h"
#include "engine/filter/wavelet.h"
#include "engine/mask_quality.h"
#include "engine/pyradiomics_classes.h"
#include "engine/pyradiomics_region.h"

namespace consilium::engine {
namespace {

tl::unexpected<Error> Wrong(std::string_view setting, std::string_view found,
                            std::string_view expected) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} = {}, must be {}", setting, found, expected));
}

Result<void> CheckImageSettings(const PyradiomicsImageSettings& s) {
  if (!(s.bin_width > 0) || !std::isfinite(s.bin_width))
    return Wrong("binWidth", fmt::to_string(s.bin_width), "> 0");
  if (s.bin_count && (*s.bin_count < 1 || *s.bin_count > kPyradiomicsBinCountMax)) {
    return Wrong("binCount", fmt::to_string(*s.bin_count),
                 fmt::format("1 to {}", kPyradiomicsBinCountMax));
  }
  if (s.distances.empty() || *std::min_element(s.distances.begin(), s.distances.end()) < 1 ||
      *std::max_element(s.distances.begin(), s.distances.end()) > kPyradiomicsDistanceMax) {
    return Wrong("distances", fmt::format("[{}]", fmt::join(s.distances, ", ")),
                 fmt::format("one distance or more, each 1 to {}", kPyradiomicsDistanceMax));
  }
  if (s.force_2d_dimension < 0 || s.force_2d_dimension > 2)
    return Wrong("force2Ddimension", fmt::to_string(s.force_2d_dimension), "0, 1 or 2");
  if (s.gldm_alpha < 0) return Wrong("gldm_a", fmt::to_string(s.gldm_alpha), ">= 0");
  if (s.wavelet_levels < 1 || s.wavelet_levels > kPyradiomicsLevelsMax) {
    return Wrong("level", fmt::to_string(s.wavelet_levels),
                 fmt::format("1 to {}", kPyradiomicsLevelsMax));
  }
  if (s.wavelet_start_level < 0 || s.wavelet_start_level > kPyradiomicsLevelsMax) {
    return Wrong("start_level", fmt::to_string(s.wavelet_start_level),
                 fmt::format("0 to {}", kPyradiomicsLevelsMax));
  }
  return {};
}

// "1-0", as Python writes a number in a name.
std::string NumberInName(const PyradiomicsSigma& sigma) {
  std::string text = fmt::format("{}", sigma.mm);
  if (!sigma.written_as_integer && text.find_first_of(".e") == std::string::npos) text += ".0";
  std::replace(text.begin(), text.end(), '.', '-');
  return text;
}

// Takes an image that is cut to the box.
using VisitImage = std::function<Result<void>(const std::string& name, Image image)>;

Result<void> VisitLaplacians(const std::vector<PyradiomicsSigma>& sigmas, const Image& image,
                             const Box& box, std::vector<std::string>& warnings,
                             const VisitImage& visit) {
  for (const PyradiomicsSigma& sigma : sigmas) {
    const std::string name = fmt::format("log-sigma-{}-mm-3D", NumberInName(sigma));
    bool large = true;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double least = std::ceil(sigma.mm / image.grid.spacing_mm[axis]) + 1;
      large = large && image.grid.size[axis] >= std::max(least, 4.0);
    }
    if (!large) {
      warnings.push_back(fmt::format(
          "{} is left out: an image of {} voxels is too small for it; widen padDistance", name,
          fmt::join(image.grid.size, " x ")));
      continue;
    }
    auto filtered = LaplacianOfGaussian(image, sigma.mm, box);
    CONSILIUM_TRY(filtered);
    CONSILIUM_TRY(visit(name, std::move(*filtered)));
  }
  return {};
}

Result<void> VisitSubBands(const PyradiomicsImageSettings& s, const Image& image, const Box& box,
                           const VisitImage& visit) {
  const auto filters = WaveletNamed(
      s.wavelet, image.numbers.single_precision ? Precision::kSingle : Precision::kDouble);
  CONSILIUM_TRY(filters);
  StationaryLevels levels{s.wavelet_levels, s.wavelet_start_level};
  if (s.force_2d) levels.along[static_cast<std::size_t>(2 - s.force_2d_dimension)] = false;
  return ForEachSubBand(image, *filters, box, levels, [&](SubBand band) {
    return visit(PyradiomicsName(band), std::move(band.image));
  });
}

// The images of one type, one at a time: only one is kept. What PyRadiomics leaves out is left out,
// with a warning.
Result<void> ForEachImage(const PyradiomicsImageType& type, const Image& image, const Box& box,
                          std::vector<std::string>& warnings, const VisitImage& visit) {
  const PyradiomicsImageSettings& s = type.settings;
  switch (type.filter) {
    case PyradiomicsFilter::kOriginal:
      return visit("original", Cut(image, box));
    case PyradiomicsFilter::kLoG:
      return VisitLaplacians(s.sigmas, image, box, warnings, visit);
    case PyradiomicsFilter::kWavelet:
      return VisitSubBands(s, image, box, visit);
    case PyradiomicsFilter::kSquare:
      return visit("square", Pixelwise(image, PixelFunction::kSquare, box));
    case PyradiomicsFilter::kSquareRoot:
      return visit("squareroot", Pixelwise(image, PixelFunction::kSquareRoot, box));
    case PyradiomicsFilter::kLogarithm:
      return visit("logarithm", Pixelwise(image, PixelFunction::kLogarithm, box));
    case PyradiomicsFilter::kExponential:
      return visit("exponential", Pixelwise(image, PixelFunction::kExponential, box));
    case PyradiomicsFilter::kGradient:
      return visit("gradient", GradientMagnitude(image, s.gradient_use_spacing, box));
    case PyradiomicsFilter::kLbp2d: {
      auto patterns = LocalBinaryPatterns(
          image, {s.lbp_2d_radius, s.lbp_2d_samples, s.lbp_2d_method, s.force_2d_dimension}, box);
      CONSILIUM_TRY(patterns);
      return visit("lbp-2D", std::move(*patterns));
    }
    case PyradiomicsFilter::kLbp3d: {
      auto patterns = LocalBinaryPatterns3d(
          image, {s.lbp_3d_levels, s.lbp_3d_radius, s.lbp_3d_subdivisions}, box);
      CONSILIUM_TRY(patterns);
      int number = 0;
      for (Image& norm : patterns->norms)
        CONSILIUM_TRY(visit(fmt::format("lbp-3D-m{}", ++number), std::move(norm)));
      return visit("lbp-3D-k", std::move(patterns->kurtosis));
    }
  }
  return {};
}

// Which features of a class to take, in their order.
struct WantedClass {
  std::string_view feature_class;  // these live as long as the program
  std::vector<std::string_view> names;
};
Result<WantedClass> WantedOf(const PyradiomicsClass& one) {
  using Kind = PyradiomicsFeatureName::Kind;
  std::vector<PyradiomicsFeatureName> known;
  for (const PyradiomicsFeatureName& name : PyradiomicsFeatureNames()) {
    if (name.feature_class == one.name) known.push_back(name);
  }
  if (known.empty())
    return Fail(ErrorCode::kNotFound, fmt::format("there is no feature class '{}'", one.name));
  WantedClass wanted{known[0].feature_class, {}};
  if (one.features.empty()) {
    for (const PyradiomicsFeatureName& name : known) {
      if (name.kind == Kind::kDefault) wanted.names.push_back(name.name);
    }
  }
  for (const std::string& feature : one.features) {
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&](const auto& name) { return name.name == feature; });
    if (found == known.end()) {
      return Fail(ErrorCode::kNotFound,
                  fmt::format("class '{}' has no feature '{}'", one.name, feature));
    }
    const auto& names = wanted.names;
    const bool repeated = std::find(names.begin(), names.end(), feature) != names.end();
    if (found->kind != Kind::kWithdrawn && !repeated) wanted.names.push_back(found->name);
  }
  return wanted;
}

void Put(const std::string& image, const WantedClass& wanted, const PyradiomicsValues& values,
         std::vector<PyradiomicsFeature>& features) {
  for (const std::string_view name : wanted.names) {
    const auto found = std::find_if(values.begin(), values.end(),
                                    [&](const PyradiomicsValue& one) { return one.name == name; });
    features.push_back({image, wanted.feature_class, name, found->value});
  }
}

}  // namespace

Result<PyradiomicsExtraction> PyradiomicsFeatures(const Image& image, const Mask& mask,
                                                  const PyradiomicsSettings& settings) {
  for (const PyradiomicsImageType& type : settings.images)
    CONSILIUM_TRY(CheckImageSettings(type.settings));
  std::vector<WantedClass> classes;
  std::optional<WantedClass> shape, shape_2d;
  for (const PyradiomicsClass& one : settings.classes) {
    auto wanted = WantedOf(one);
    CONSILIUM_TRY(wanted);
    if (one.name == "shape") {
      shape = std::move(*wanted);
    } else if (one.name == "shape2D") {
      shape_2d = std::move(*wanted);
    } else {
      classes.push_back(std::move(*wanted));
    }
  }

  PyradiomicsExtraction result;
  PyradiomicsDiagnostics& diagnostics = result.diagnostics;
  auto region = PreparePyradiomics(image, mask, settings, diagnostics);
  CONSILIUM_TRY(region);

  if (shape) {
    const auto values = PyradiomicsShape(region->shape_mask);
    CONSILIUM_TRY(values);
    Put("original", *shape, *values, result.features);
  }
  if (shape_2d && !settings.force_2d) {
    diagnostics.warnings.push_back("shape2D is left out: it needs force2D: true");
  } else if (shape_2d) {
    const auto values = PyradiomicsShape2d(region->shape_mask, settings.force_2d_dimension);
    CONSILIUM_TRY(values);
    Put("original", *shape_2d, *values, result.features);
  }
  region->shape_mask = {};  // large, and not looked at again

  for (const PyradiomicsImageType& type : settings.images) {
    const auto take = [&](const std::string& name, Image one) -> Result<void> {
      const auto of_image =
          PyradiomicsImageClasses::Of(std::move(one), region->intensity_mask, type.settings);
      if (!of_image) return tl::unexpected(Within(name, of_image.error()));
      diagnostics.level_counts.push_back({name, of_image->levels().count});
      if (const auto warning = CheckLevels(of_image->levels()))
        diagnostics.warnings.push_back(fmt::format("{}: {}", name, warning->sentence));
      for (const WantedClass& wanted : classes) {
        const auto values = of_image->ValuesOf(wanted.feature_class);
        if (!values) return tl::unexpected(Within(name, values.error()));
        Put(name, wanted, *values, result.features);
      }
      return {};
    };
    CONSILIUM_TRY(ForEachImage(type, region->image(), region->box, diagnostics.warnings, take));
  }
  return result;
}

}  // namespace consilium::engine
