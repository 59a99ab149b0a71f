#include "extraction/parameter_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <set>
#include <span>

#include "base/strict_yaml.h"
#include "engine/filter/local_binary_pattern.h"
#include "engine/filter/local_binary_pattern_3d.h"
#include "engine/filter/wavelet.h"

namespace consilium::extraction {
namespace {

using engine::LocalBinaryPattern;
using engine::PyradiomicsFilter;
using engine::PyradiomicsImageSettings;
using engine::PyradiomicsInterpolator;
using engine::PyradiomicsResegmentMode;
using engine::PyradiomicsSettings;
using engine::PyradiomicsWeighting;
using Notes = std::vector<std::string>;

constexpr YamlLimits kLimits = {std::size_t{1} << 18, 8, 10000};
constexpr std::size_t kListMax = 64;
constexpr std::int64_t kIntegerMax = 1000000000;

// A setting, and what it belongs to: nothing else reads it.
struct Key {
  std::string_view name;
  std::optional<PyradiomicsFilter> filter = std::nullopt;  // of this image type only
};
// What an image type may set for itself.
constexpr std::array kImageKeys = {
    Key{"binWidth"},
    Key{"binCount"},
    Key{"voxelArrayShift"},
    Key{"force2D"},
    Key{"force2Ddimension"},
    Key{"distances"},
    Key{"weightingNorm"},
    Key{"symmetricalGLCM"},
    Key{"gldm_a"},
    Key{"sigma", PyradiomicsFilter::kLoG},
    Key{"wavelet", PyradiomicsFilter::kWavelet},
    Key{"level", PyradiomicsFilter::kWavelet},
    Key{"start_level", PyradiomicsFilter::kWavelet},
    Key{"gradientUseSpacing", PyradiomicsFilter::kGradient},
    Key{"lbp2DRadius", PyradiomicsFilter::kLbp2d},
    Key{"lbp2DSamples", PyradiomicsFilter::kLbp2d},
    Key{"lbp2DMethod", PyradiomicsFilter::kLbp2d},
    Key{"lbp3DLevels", PyradiomicsFilter::kLbp3d},
    Key{"lbp3DIcosphereRadius", PyradiomicsFilter::kLbp3d},
    Key{"lbp3DIcosphereSubdivision", PyradiomicsFilter::kLbp3d},
};
// What works for the whole extraction, before images are made.
constexpr std::array<std::string_view, 19> kWholeKeys = {"normalize",
                                                         "normalizeScale",
                                                         "removeOutliers",
                                                         "resampledPixelSpacing",
                                                         "interpolator",
                                                         "padDistance",
                                                         "preCrop",
                                                         "resegmentRange",
                                                         "resegmentMode",
                                                         "resegmentShape",
                                                         "minimumROIDimensions",
                                                         "minimumROISize",
                                                         "label",
                                                         "label_channel",
                                                         "correctMask",
                                                         "geometryTolerance",
                                                         "additionalInfo",
                                                         "kernelRadius",
                                                         "voxelBatch"};

bool IsWholeKey(std::string_view key) {
  return std::find(kWholeKeys.begin(), kWholeKeys.end(), key) != kWholeKeys.end();
}
const Key* ImageKey(std::string_view key) {
  const auto found = std::find_if(kImageKeys.begin(), kImageKeys.end(),
                                  [&](const Key& one) { return one.name == key; });
  return found == kImageKeys.end() ? nullptr : &*found;
}

// Reports keys that are no settings, or no settings of an image type (`of_image`).
void CheckKeys(const YamlValue& settings, bool of_image) {
  std::vector<std::string> known;
  for (const Key& key : kImageKeys) known.emplace_back(key.name);
  if (!of_image) known.insert(known.end(), kWholeKeys.begin(), kWholeKeys.end());
  for (const auto& [key, value] : settings.Entries()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    if (IsWholeKey(key)) {
      value.Problem("works on the image before it is filtered; move it under 'setting'");
      continue;
    }
    const std::string near = DidYouMean(key, known);
    value.Problem(fmt::format("is no setting{}; {}", near,
                              near.empty() ? fmt::format("known here: {}", fmt::join(known, ", "))
                                           : "correct or remove it"));
  }
}

std::optional<bool> Truth(const YamlValue& value) {
  const auto word = value.OneOf({"true", "false", "True", "False", "TRUE", "FALSE"});
  if (!word) return std::nullopt;
  return (*word)[0] == 't' || (*word)[0] == 'T';
}
// A number above `above`.
std::optional<double> Above(const YamlValue& value, double above) {
  const auto number = value.Number();
  if (!number || *number > above) return number;
  value.Problem(fmt::format("found {}, expected more than {}", *number, above));
  return std::nullopt;
}
std::optional<int> Whole(const YamlValue& value, std::int64_t low,
                         std::int64_t high = kIntegerMax) {
  const auto number = value.Integer(low, high);
  if (!number) return std::nullopt;
  return static_cast<int>(*number);
}
template <typename Value, typename Setting>
void Set(const std::optional<Value>& value, Setting& setting) {
  if (value) setting = *value;
}

// The items of a list of 1 to `most`.
std::vector<YamlValue> Listed(const YamlValue& value, std::size_t most) {
  if (!value.present()) return {};
  if (!value.is_sequence()) return value.Items();  // which says so
  std::vector<YamlValue> items = value.Items();
  if (!items.empty() && items.size() <= most) return items;
  value.Problem(fmt::format("found {} values, expected 1 to {}", items.size(), most));
  return {};
}

// What filters and classes read, over what `settings` holds already.
void ReadImageSettings(const YamlValue& map, PyradiomicsImageSettings& settings) {
  Set(Above(map["binWidth"], 0), settings.bin_width);
  if (const YamlValue count = map["binCount"]; count.is_null()) {
    settings.bin_count = std::nullopt;
  } else {
    Set(Whole(count, 1, engine::kPyradiomicsBinCountMax), settings.bin_count);
  }
  Set(Whole(map["voxelArrayShift"], -kIntegerMax), settings.voxel_array_shift);
  Set(Truth(map["force2D"]), settings.force_2d);
  Set(Whole(map["force2Ddimension"], 0, 2), settings.force_2d_dimension);
  if (const auto distances = Listed(map["distances"], kListMax); !distances.empty()) {
    settings.distances.clear();
    for (const YamlValue& distance : distances) {
      if (const auto voxels = Whole(distance, 1, engine::kPyradiomicsDistanceMax))
        settings.distances.push_back(*voxels);
    }
  }
  if (const YamlValue norm = map["weightingNorm"]; norm.is_null()) {
    settings.weighting = PyradiomicsWeighting::kSeparate;
  } else if (const auto word = norm.OneOf({"no_weighting", "manhattan", "euclidean", "infinity"})) {
    settings.weighting = *word == "no_weighting" ? PyradiomicsWeighting::kNoWeighting
                         : *word == "manhattan"  ? PyradiomicsWeighting::kManhattan
                         : *word == "euclidean"  ? PyradiomicsWeighting::kEuclidean
                                                 : PyradiomicsWeighting::kInfinity;
  }
  Set(Truth(map["symmetricalGLCM"]), settings.symmetrical_glcm);
  Set(Whole(map["gldm_a"], 0), settings.gldm_alpha);
  if (const auto sigmas = Listed(map["sigma"], kListMax); !sigmas.empty()) {
    settings.sigmas.clear();
    for (const YamlValue& sigma : sigmas) {
      const auto mm = Above(sigma, 0);
      if (!mm) continue;
      const bool integer = sigma.Text()->find_first_not_of("0123456789") == std::string::npos;
      settings.sigmas.push_back({*mm, integer});
    }
  }
  if (const auto name = map["wavelet"].NonEmptyText()) {
    if (const auto known = engine::WaveletNamed(*name); !known) {
      map["wavelet"].Problem(known.error().message);
    } else {
      settings.wavelet = *name;
    }
  }
  Set(Whole(map["level"], 1, engine::kPyradiomicsLevelsMax), settings.wavelet_levels);
  Set(Whole(map["start_level"], 0, engine::kPyradiomicsLevelsMax), settings.wavelet_start_level);
  Set(Truth(map["gradientUseSpacing"]), settings.gradient_use_spacing);
  Set(Above(map["lbp2DRadius"], 0), settings.lbp_2d_radius);
  Set(Whole(map["lbp2DSamples"], 1, engine::kPatternSamplesMax), settings.lbp_2d_samples);
  if (const auto word = map["lbp2DMethod"].OneOf({"default", "ror", "uniform", "var"})) {
    settings.lbp_2d_method = *word == "default"   ? LocalBinaryPattern::kDefault
                             : *word == "ror"     ? LocalBinaryPattern::kRotationInvariant
                             : *word == "uniform" ? LocalBinaryPattern::kUniform
                                                  : LocalBinaryPattern::kVariance;
  }
  Set(Whole(map["lbp3DLevels"], 2, engine::kPatternLevelsMax), settings.lbp_3d_levels);
  Set(Above(map["lbp3DIcosphereRadius"], 0), settings.lbp_3d_radius);
  Set(Whole(map["lbp3DIcosphereSubdivision"], 0, engine::kPatternSubdivisionsMax),
      settings.lbp_3d_subdivisions);
}

// False: none, which turns resampling off.
bool ReadInterpolator(const YamlValue& value, PyradiomicsInterpolator& interpolator) {
  if (value.is_null()) return false;
  auto word = value.NonEmptyText();
  if (!word) return true;
  if (*word == "1" || *word == "sitkNearestNeighbor") {
    interpolator = PyradiomicsInterpolator::kNearest;
  } else if (*word == "2" || *word == "sitkLinear") {
    interpolator = PyradiomicsInterpolator::kLinear;
  } else if (*word == "3" || *word == "sitkBSpline") {
    interpolator = PyradiomicsInterpolator::kBSpline;
  } else {
    value.Problem(
        fmt::format("found '{}', expected sitkNearestNeighbor, sitkLinear or sitkBSpline "
                    "(1, 2, 3); no other interpolator is taken here",
                    *word));
  }
  return true;
}

void ReadWhole(const YamlValue& map, PyradiomicsSettings& settings, Notes& notes) {
  Set(Truth(map["normalize"]), settings.normalize);
  Set(Above(map["normalizeScale"], 0), settings.normalize_scale);
  if (const YamlValue most = map["removeOutliers"]; !most.is_null())
    Set(Above(most, 0), settings.remove_outliers);
  if (const YamlValue spacing = map["resampledPixelSpacing"];
      spacing.present() && !spacing.is_null()) {
    const std::vector<YamlValue> items = spacing.Items();
    if (items.size() == 3) {
      std::array<double, 3> mm{};
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const auto number = items[axis].Number();
        if (number && *number < 0)
          items[axis].Problem(fmt::format("found {}, expected 0 (keep the axis) or more", *number));
        mm[axis] = number.value_or(0);
      }
      settings.resampled_spacing_mm = mm;
    } else if (spacing.is_sequence()) {
      spacing.Problem(
          fmt::format("found {} values, expected three: along x, y and z, in mm", items.size()));
    }
  }
  if (!ReadInterpolator(map["interpolator"], settings.interpolator)) {
    if (settings.resampled_spacing_mm)
      notes.push_back("interpolator: none is given, so that nothing is resampled");
    settings.resampled_spacing_mm = std::nullopt;
  }
  Set(Whole(map["padDistance"], 0), settings.pad_distance);
  Set(Truth(map["preCrop"]), settings.pre_crop);
  if (const YamlValue range = map["resegmentRange"]; !range.is_null()) {
    for (const YamlValue& end : Listed(range, 2))
      if (const auto number = end.Number()) settings.resegment_range.push_back(*number);
  }
  if (const auto mode = map["resegmentMode"].OneOf({"absolute", "relative", "sigma"})) {
    settings.resegment_mode = *mode == "absolute"   ? PyradiomicsResegmentMode::kAbsolute
                              : *mode == "relative" ? PyradiomicsResegmentMode::kRelative
                                                    : PyradiomicsResegmentMode::kSigma;
  }
  Set(Truth(map["resegmentShape"]), settings.resegment_shape);
  Set(Whole(map["minimumROIDimensions"], 1, 3), settings.minimum_roi_dimensions);
  if (const YamlValue size = map["minimumROISize"]; !size.is_null())
    Set(Whole(size, 1), settings.minimum_roi_size);
  Set(Whole(map["label"], 1), settings.label);
  Set(Whole(map["label_channel"], 0), settings.label_channel);
  Set(Truth(map["correctMask"]), settings.correct_mask);
  if (const YamlValue tolerance = map["geometryTolerance"]; !tolerance.is_null())
    Set(Above(tolerance, 0), settings.geometry_tolerance);
  Set(Truth(map["additionalInfo"]), settings.additional_info);
  for (const std::string_view key : {"kernelRadius", "voxelBatch"}) {
    if (map[key].present())
      map[key].Problem("is of maps of features, which are not made here; remove it");
  }

  const auto idle = [&](std::string_view key, std::string_view why) {
    if (map[key].present() && !map[key].is_null())
      notes.push_back(fmt::format("{}: has no effect, for {}", key, why));
  };
  if (!settings.normalize) {
    idle("normalizeScale", "normalize is off");
    idle("removeOutliers", "normalize is off");
  }
  if (!settings.resampled_spacing_mm) {
    idle("interpolator", "nothing is resampled");
    if (!settings.pre_crop) idle("padDistance", "nothing is resampled and preCrop is off");
  } else if (settings.pre_crop) {
    idle("preCrop", "what is resampled is cropped in any case");
  }
  if (settings.resegment_range.empty()) {
    idle("resegmentMode", "no resegmentRange is given");
    idle("resegmentShape", "no resegmentRange is given");
  }
  idle("geometryTolerance",
       "differences of geometry below a thousandth of a voxel are the same grid here, and larger "
       "ones are reported");
}

void ReadImageTypes(const YamlValue& types, const PyradiomicsImageSettings& general,
                    PyradiomicsSettings& settings, Notes& notes) {
  std::vector<std::string> names;
  for (const PyradiomicsFilter filter : engine::AllPyradiomicsFilters())
    names.emplace_back(Name(filter));
  settings.images.clear();
  for (const auto& [name, own] : types.Entries()) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      const std::string near = DidYouMean(name, names);
      own.Problem(fmt::format("is no image type{}; {}", near,
                              near.empty() ? fmt::format("there are {}", fmt::join(names, ", "))
                                           : "correct or remove it"));
      continue;
    }
    const PyradiomicsFilter filter =
        engine::AllPyradiomicsFilters()[static_cast<std::size_t>(found - names.begin())];
    engine::PyradiomicsImageType type{filter, general};
    if (!own.is_null()) {
      CheckKeys(own, true);
      ReadImageSettings(own, type.settings);
      for (const auto& [key, value] : own.Entries()) {
        const Key* known = ImageKey(key);
        if (known != nullptr && known->filter && *known->filter != filter)
          notes.push_back(fmt::format("imageType.{}.{}: has no effect on {}", name, key, name));
      }
    }
    if (filter == PyradiomicsFilter::kLoG && type.settings.sigmas.empty()) {
      own.Problem(
          "has no sigma, so that there is no image; name widths in mm: {sigma: [1.0, 3.0]}");
    }
    if (type.settings.bin_count && own.is_mapping() && own["binWidth"].present())
      notes.push_back(
          fmt::format("imageType.{}.binWidth: has no effect, for binCount is given", name));
    settings.images.push_back(std::move(type));
  }
  if (settings.images.empty()) settings.images = {{PyradiomicsFilter::kOriginal, general}};
}

void ReadClasses(const YamlValue& classes, PyradiomicsSettings& settings, Notes& notes) {
  using Kind = engine::PyradiomicsFeatureName::Kind;
  std::vector<std::string> class_names;
  for (const auto& feature : engine::PyradiomicsFeatureNames()) {
    if (class_names.empty() || class_names.back() != feature.feature_class)
      class_names.emplace_back(feature.feature_class);
  }
  const auto entries = classes.Entries();
  if (entries.empty()) return;
  settings.classes.clear();
  for (const auto& [name, list] : entries) {
    if (std::find(class_names.begin(), class_names.end(), name) == class_names.end()) {
      const std::string near = DidYouMean(name, class_names);
      list.Problem(fmt::format("is no feature class{}; {}", near,
                               near.empty()
                                   ? fmt::format("there are {}", fmt::join(class_names, ", "))
                                   : "correct or remove it"));
      continue;
    }
    engine::PyradiomicsClass one{name, {}};
    if (!list.is_null()) {
      std::vector<std::string> known;
      for (const auto& feature : engine::PyradiomicsFeatureNames()) {
        if (feature.feature_class == name) known.emplace_back(feature.name);
      }
      for (const YamlValue& item : list.Items()) {
        const auto feature = item.NonEmptyText();
        if (!feature) continue;
        if (std::find(known.begin(), known.end(), *feature) == known.end()) {
          const std::string near = DidYouMean(*feature, known);
          item.Problem(fmt::format("'{}' is no feature of {}{}; {}", *feature, name, near,
                                   near.empty()
                                       ? fmt::format("there are {}", fmt::join(known, ", "))
                                       : "correct or remove it"));
          continue;
        }
        one.features.push_back(*feature);
      }
      for (const auto& feature : engine::PyradiomicsFeatureNames()) {
        const bool named =
            feature.feature_class == name &&
            std::find(one.features.begin(), one.features.end(), feature.name) != one.features.end();
        if (named && feature.kind == Kind::kWithdrawn) {
          notes.push_back(
              fmt::format("featureClass.{}: {} has no value, as in PyRadiomics; it "
                          "would always be that of {}",
                          name, feature.name, feature.same_as));
        }
      }
    }
    settings.classes.push_back(std::move(one));
  }
}

}  // namespace

ParameterFile ReadParameters(const YamlValue& root) {
  root.AllowKeys({"setting", "imageType", "featureClass", "voxelSetting"});
  ParameterFile file;
  PyradiomicsSettings& settings = file.settings;
  PyradiomicsImageSettings general;
  if (const YamlValue setting = root["setting"]; !setting.is_null()) {
    CheckKeys(setting, false);
    ReadWhole(setting, settings, file.notes);
    ReadImageSettings(setting, general);
    settings.force_2d = general.force_2d;
    settings.force_2d_dimension = general.force_2d_dimension;
  }
  if (const YamlValue types = root["imageType"]; types.is_null()) {
    types.Problem("found nothing, expected image types: write {Original: {}} or leave it out");
  } else {
    ReadImageTypes(types, general, settings, file.notes);
  }
  if (const YamlValue classes = root["featureClass"]; classes.is_null()) {
    classes.Problem("found nothing, expected feature classes: write {glcm: []} or leave it out");
  } else {
    ReadClasses(classes, settings, file.notes);
  }
  const YamlValue setting = root["setting"];
  for (const Key& key : kImageKeys) {
    const bool taken =
        !key.filter || std::any_of(settings.images.begin(), settings.images.end(),
                                   [&](const auto& image) { return image.filter == *key.filter; });
    if (!taken && setting.is_mapping() && setting[key.name].present())
      file.notes.push_back(fmt::format("{}: has no effect, for no image type reads it", key.name));
  }
  if (general.bin_count && setting["binWidth"].present())
    file.notes.push_back("binWidth: has no effect, for binCount is given");
  if (const YamlValue voxels = root["voxelSetting"]; voxels.present() && !voxels.is_null()) {
    voxels.Problem(
        "asks for maps of features (voxel-based extraction), which are not made here; remove it to "
        "extract a value a region");
  }
  return file;
}

Result<ParameterFile> ReadParameterFile(std::string_view text, const std::string& name) {
  auto document = ParseStrictYaml(text, name, kLimits);
  CONSILIUM_TRY(document);
  ParameterFile file = ReadParameters(document->root());
  if (!document->problems().empty()) return tl::unexpected(Combine(document->problems()));
  return file;
}

}  // namespace consilium::extraction
