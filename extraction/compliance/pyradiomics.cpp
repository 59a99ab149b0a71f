#include "engine/pyradiomics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "disk/files.h"
#include "extraction/compliance/reference_set.h"
#include "extraction/parameter_file.h"

namespace consilium::compliance {
namespace {

namespace fs = std::filesystem;
using engine::PyradiomicsFeature;
using engine::PyradiomicsFilter;
using engine::PyradiomicsSettings;

std::string ClassAndName(std::string_view feature_class, std::string_view name) {
  return fmt::format("{}_{}", feature_class, name);
}

// IBSI codes of what both define alike, by class and name. A folder may lack the map.
std::map<std::string, std::string> IbsiCodes(const fs::path& reference) {
  std::map<std::string, std::string> codes;
  const auto table = ReferenceTable::Read(reference / "pyradiomics_ibsi_feature_map.csv");
  for (std::size_t row = 0; table && row < table->row_count(); ++row) {
    if (table->Text(row, "relation").starts_with("equal"))
      codes[ClassAndName(table->Text(row, "pyradiomics_class"),
                         table->Text(row, "pyradiomics_feature"))] = table->Text(row, "ibsi_code");
  }
  return codes;
}

std::string CodeOf(const std::map<std::string, std::string>& codes, const std::string& feature) {
  const auto found = codes.find(feature);
  return found == codes.end() ? "" : found->second;
}

// ---- the regression baseline

constexpr double kBaselineTolerance = 1e-9;

// The baseline of shape2D is of one slice of the region.
void KeepOneSlice(engine::Mask& mask, const std::string& name) {
  const std::size_t slice = name == "brain1" ? 16 : name == "brain2" ? 8 : 9;
  for (std::size_t i = 0; i < mask.inside.size(); ++i) {
    if (i / mask.grid.Index(0, 0, 1) != slice) mask.inside[i] = 0;
  }
}

// What the baseline recorded of a variant, as a parameter file: with null for what is off.
Result<PyradiomicsSettings> SettingsOf(const nlohmann::json& recorded, const std::string& variant) {
  nlohmann::json file = {{"setting", recorded["settings"]}};
  for (const std::string feature_class : recorded["feature_classes"])
    file["featureClass"][feature_class] = nullptr;
  auto read = extraction::ReadParameterFile(file.dump(1), variant);
  CONSILIUM_TRY(read);
  return std::move(read->settings);
}

struct BaselineFiles {
  fs::path table, settings, current, image, labels, codes;
};

// Variants of settings and what the baseline has of each.
std::map<std::string, std::vector<Expected>> Baseline(
    const ReferenceTable& table, const std::string& name,
    const std::map<std::string, std::string>& codes) {
  std::map<std::string, std::vector<Expected>> variants;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    if (table.Text(row, "case") != name) continue;
    const std::string variant = table.Text(row, "settings");
    Comparison one;
    one.configuration = fmt::format("{}, {}", name, variant);
    one.family = table.Text(row, "feature_class");
    one.feature = table.Text(row, "feature");
    const std::string key = ClassAndName(one.family, one.feature);
    one.ibsi_code = CodeOf(codes, key);
    one.reference = table.Number(row, "value");
    // Entropies of one level are -3e-16 there.
    one.tolerance = kBaselineTolerance * std::max(std::abs(one.reference), 1e-6);
    variants[variant].push_back({key, std::move(one)});
  }
  return variants;
}

// Four of brain1's are older than PyRadiomics' mesh is: ours must be what its code gives now.
void ExplainStaleMeshes(std::vector<Comparison>& rows, const ReferenceTable& current) {
  for (Comparison& row : rows) {
    const bool stale = row.feature == "MeshVolume" || row.feature == "SurfaceArea" ||
                       row.feature == "Sphericity" || row.feature == "SurfaceVolumeRatio";
    if (row.family != "shape" || !stale || row.verdict != Verdict::kDiffers) continue;
    for (std::size_t at = 0; at < current.row_count(); ++at) {
      if (current.Text(at, "feature") != "original_shape_" + row.feature) continue;
      const double now = current.Number(at, "brain1");
      if (JudgeNumber(now, kBaselineTolerance * std::abs(now), row.ours) != Verdict::kHolds)
        continue;
      row.verdict = Verdict::kExplained;
      row.cause =
          "the stored baseline is older than PyRadiomics' mesh; ours is what its present code "
          "gives, to 1e-9";
    }
  }
}

Result<std::vector<Comparison>> CompareBaseline(const std::string& name,
                                                const BaselineFiles& files) {
  const auto table = ReferenceTable::Read(files.table);
  CONSILIUM_TRY(table);
  const auto current = ReferenceTable::Read(files.current);
  CONSILIUM_TRY(current);
  const auto text = disk::ReadFile(files.settings);
  CONSILIUM_TRY(text);
  const auto recorded = nlohmann::json::parse(*text, nullptr, false);
  const auto whole = ReadReferenceCase(files.image, files.labels);
  CONSILIUM_TRY(whole);
  std::vector<Comparison> rows;
  for (const auto& [variant, wanted] : Baseline(*table, name, IbsiCodes(files.codes))) {
    const nlohmann::json::json_pointer at("/variants/" + variant + "/0");
    if (recorded.is_discarded() || !recorded.contains(at) || !recorded[at].contains("settings") ||
        !recorded[at].contains("feature_classes")) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: settings of the variant '{}' are expected under {}; the table "
                              "and this file belong together",
                              files.settings.string(), variant, at.to_string()));
    }
    const auto settings = SettingsOf(recorded[at], variant);
    CONSILIUM_TRY(settings);
    ReferenceCase one = *whole;
    if (variant == "shape2D") KeepOneSlice(one.mask, name);
    const auto extraction = engine::PyradiomicsFeatures(one.image, one.mask, *settings);
    CONSILIUM_TRY(extraction);
    Values ours;
    for (const PyradiomicsFeature& f : extraction->features)
      ours[ClassAndName(f.feature_class, f.name)] = f.value;
    auto compared = Compare(wanted, ours, JudgeNumber, Surplus::kUnknown);
    if (name == "brain1" && variant == "default") ExplainStaleMeshes(compared, *current);
    std::move(compared.begin(), compared.end(), std::back_inserter(rows));
  }
  return rows;
}

// ---- values of the present code

struct CurrentFiles {
  fs::path table, image, labels, codes;
};

PyradiomicsSettings CurrentSettings() {
  PyradiomicsSettings settings;  // PyRadiomics' defaults
  engine::PyradiomicsImageSettings of_log;
  of_log.sigmas = {{1}, {2}, {3}, {4}, {5}};
  settings.images.push_back({PyradiomicsFilter::kLoG, of_log});
  settings.images.push_back({PyradiomicsFilter::kWavelet, {}});
  return settings;
}

bool IsWavelet(const std::string& image) { return image.starts_with("wavelet"); }

// Of hundreds of thousands of voxels, a single one has the level at the end of a sub-band.
double ToleranceOfMcc(const std::string& image) { return IsWavelet(image) ? 1e-5 : 2e-6; }

// `values`: of the case, by image, class and name.
double CurrentTolerance(const Values& values, const std::string& image, const std::string& name,
                        double reference) {
  double size = std::max(std::abs(reference), 1e-9);  // entropies of one level are -3e-16 there
  // Near zero, the size of what cancels there.
  if (name == "Mean" || name == "Median")
    size = std::max(size, values.at(image + "_firstorder_RootMeanSquared"));
  if (name == "Skewness" || (name == "Imc1" && IsWavelet(image))) size = std::max(size, 1.0);
  if (name == "MCC") return ToleranceOfMcc(image) * size;
  return (image.starts_with("log") ? 1e-6 : 1e-9) * size;
}

Result<std::vector<Comparison>> CompareCurrent(const std::string& name, const CurrentFiles& files) {
  const auto table = ReferenceTable::Read(files.table);
  CONSILIUM_TRY(table);
  const auto one = ReadReferenceCase(files.image, files.labels);
  CONSILIUM_TRY(one);
  Values values;
  for (std::size_t row = 0; row < table->row_count(); ++row)
    values[table->Text(row, "feature")] = table->Number(row, name);
  const auto codes = IbsiCodes(files.codes);
  std::vector<Expected> wanted;
  for (std::size_t row = 0; row < table->row_count(); ++row) {
    const std::string key = table->Text(row, "feature");
    const std::size_t first = key.find('_'), second = key.find('_', first + 1);
    const std::string image = key.substr(0, first);
    if (second == std::string::npos || !values.contains(image + "_firstorder_RootMeanSquared")) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: '{}' is not an image with its class and feature; expected names "
                              "like original_glcm_MCC",
                              files.table.string(), key));
    }
    Comparison compared;
    compared.configuration = fmt::format("{}, {}", name, image);
    compared.family = key.substr(first + 1, second - first - 1);
    compared.feature = key.substr(second + 1);
    compared.ibsi_code = CodeOf(codes, key.substr(first + 1));
    compared.reference = values.at(key);
    compared.tolerance = CurrentTolerance(values, image, compared.feature, compared.reference);
    if (compared.feature == "MCC") {
      compared.cause = fmt::format(
          "to {}, since PyRadiomics adds 2.2e-16 to products of probabilities as small as 2e-12",
          ToleranceOfMcc(image));
    }
    wanted.push_back({key, std::move(compared)});
  }
  const auto extraction = engine::PyradiomicsFeatures(one->image, one->mask, CurrentSettings());
  CONSILIUM_TRY(extraction);
  Values ours;
  for (const PyradiomicsFeature& f : extraction->features)
    ours[fmt::format("{}_{}_{}", f.image, f.feature_class, f.name)] = f.value;
  return Compare(wanted, ours, JudgeNumber, Surplus::kUnknown);
}

}  // namespace

ReferenceSet PyradiomicsBaseline(const Folders& folders) {
  ReferenceSet set;
  set.name = "PyRadiomics baseline";
  set.table = folders.reference / "pyradiomics_baseline.csv";
  set.rule =
      "A value holds to 1e-9 of its size, and of 1e-6 below. Of the cases lung1 and lung2 "
      "PyRadiomics publishes the values without the images.";
  for (const std::string name : {"brain1", "brain2", "breast1"}) {
    const fs::path data = folders.reference / "data" / "pyradiomics";
    const BaselineFiles files = {set.table,
                                 folders.reference / "pyradiomics_baseline_settings.json",
                                 folders.reference / "pyradiomics_current_code.csv",
                                 data / (name + "_image.nrrd"),
                                 data / (name + "_label.nrrd"),
                                 folders.reference};
    set.parts.push_back({name,
                         {files.table, files.settings, files.current, files.image, files.labels},
                         [=] { return CompareBaseline(name, files); }});
  }
  return set;
}

ReferenceSet PyradiomicsCurrentCode(const Folders& folders) {
  ReferenceSet set;
  set.name = "PyRadiomics current code";
  set.table = folders.reference / "pyradiomics_current_code.csv";
  set.rule =
      "A value holds to 1e-9 of its size, of Laplacians of Gaussians to 1e-6; means and medians "
      "to that of the root mean square, skewness and, of wavelets, Imc1 to that of 1. Wavelets of "
      "images of single precision are taken in single precision, as PyRadiomics takes them.";
  const auto add = [&](const std::string& name, const fs::path& image, const fs::path& labels) {
    const CurrentFiles files = {set.table, image, labels, folders.reference};
    set.parts.push_back(
        {name, {set.table, image, labels}, [=] { return CompareCurrent(name, files); }});
  };
  const fs::path data = folders.reference / "data";
  for (const std::string name : {"brain1", "brain2", "breast1"}) {
    add(name, data / "pyradiomics" / (name + "_image.nrrd"),
        data / "pyradiomics" / (name + "_label.nrrd"));
  }
  const fs::path ct = data / "ibsi1_ct_phantom" / "nifti";
  add("ibsi_ct", ct / "image.nii.gz", ct / "mask.nii.gz");
  if (folders.sts_images.empty()) {
    set.left_out.push_back("49 sarcomas: give the folder of their images with --sts-images");
    return set;
  }
  for (int number = 1; number <= 51; ++number) {
    if (number == 9 || number == 20) continue;
    const std::string name = fmt::format("STS_{:03}", number);
    const fs::path folder = folders.sts_images / name;
    add(name, folder / "MR_T1_image.nii.gz", folder / "MR_T1_mask.nii.gz");
  }
  return set;
}

}  // namespace consilium::compliance
