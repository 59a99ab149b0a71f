// PyRadiomics' own regression baseline: three cases, nine variants of settings, five matrices.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/glcm.h"
#include "engine/itk/read_image.h"
#include "engine/ngtdm.h"
#include "engine/pyradiomics.h"
#include "engine/resegment.h"
#include "engine/runs_and_zones.h"
#include "extraction/parameter_file.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {
namespace {

using testing_support::Number;
using testing_support::ReadShared;
using testing_support::ReadSharedCsv;
using testing_support::Shared;

const std::string kFolder = "reference/radiomics/";
const std::string kBaseline = kFolder + "pyradiomics_baseline.csv";
const std::string kSettings = kFolder + "pyradiomics_baseline_settings.json";
const std::string kMatrices = kFolder + "pyradiomics_matrices.csv";
const std::string kCurrent = kFolder + "pyradiomics_current_code.csv";

struct Case {
  Image image;
  Mask mask;
};
Case ReadCase(const std::string& name) {
  const std::string path = Shared(kFolder + "data/pyradiomics/" + name);
  auto image = itk_files::ReadImage(path + "_image.nrrd");
  const auto labels = itk_files::ReadImage(path + "_label.nrrd");
  if (!image || !labels) {
    ADD_FAILURE() << (image ? labels.error().message : image.error().message);
    return {};
  }
  Case one{std::move(image->image), {labels->image.grid, {}}};
  for (const double label : labels->image.values) one.mask.inside.push_back(label == 1 ? 1 : 0);
  return one;
}

// The baseline of shape2D is of one slice of the region.
void KeepOneSlice(Mask& mask, const std::string& name) {
  const std::size_t slice = name == "brain1" ? 16 : name == "brain2" ? 8 : 9;
  for (std::size_t i = 0; i < mask.inside.size(); ++i) {
    if (i / mask.grid.Index(0, 0, 1) != slice) mask.inside[i] = 0;
  }
}

// What the baseline recorded of a variant, as a parameter file: with null for what is off.
PyradiomicsSettings SettingsOf(const std::string& variant) {
  const auto recorded = nlohmann::json::parse(ReadShared(kSettings))["variants"][variant][0];
  nlohmann::json file = {{"setting", recorded["settings"]}};
  for (const std::string feature_class : recorded["feature_classes"])
    file["featureClass"][feature_class] = nullptr;
  auto read = extraction::ReadParameterFile(file.dump(1), variant);
  EXPECT_TRUE(read.has_value()) << read.error().message;
  return read ? std::move(read->settings) : PyradiomicsSettings();
}

// Cases and variants, and their values by class and name.
std::map<std::pair<std::string, std::string>, std::map<std::string, double>> BaselineValues() {
  const CsvTable table = ReadSharedCsv(kBaseline), current = ReadSharedCsv(kCurrent);
  std::map<std::pair<std::string, std::string>, std::map<std::string, double>> values;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    if (table.Cell(row, 6) != "yes") continue;
    values[{std::string(table.Cell(row, 0)), std::string(table.Cell(row, 1))}][fmt::format(
        "{}_{}", table.Cell(row, 3), table.Cell(row, 4))] = Number(table, row, "value");
  }
  // Four of brain1's are older than PyRadiomics' mesh is: what its code gives now.
  for (std::size_t row = 0; row < current.row_count(); ++row) {
    for (const std::string name : {"shape_MeshVolume", "shape_SurfaceArea", "shape_Sphericity",
                                   "shape_SurfaceVolumeRatio"}) {
      if (current.Cell(row, 0) == "original_" + name)
        values[{"brain1", "default"}][name] = Number(current, row, "brain1");
    }
  }
  return values;
}

TEST(PyradiomicsBaseline, EveryValueOfEveryVariant) {
  CONSILIUM_NEEDS_SHARED(kBaseline);
  std::size_t compared = 0;
  for (const auto& [which, values] : BaselineValues()) {
    const auto& [name, variant] = which;
    SCOPED_TRACE(name + ", " + variant);
    Case one = ReadCase(name);
    if (variant == "shape2D") KeepOneSlice(one.mask, name);
    const auto extraction = PyradiomicsFeatures(one.image, one.mask, SettingsOf(variant));
    ASSERT_TRUE(extraction.has_value()) << extraction.error().message;
    EXPECT_EQ(extraction->features.size(), values.size());
    for (const PyradiomicsFeature& feature : extraction->features) {
      const auto expected = values.find(fmt::format("{}_{}", feature.feature_class, feature.name));
      if (expected == values.end()) {
        ADD_FAILURE() << "no value of " << feature.feature_class << " " << feature.name;
        continue;
      }
      // Entropies of one level are -3e-16 there.
      const double size = std::max(std::abs(expected->second), 1e-6);
      EXPECT_LE(std::abs(feature.value - expected->second) / size, 1e-9)
          << expected->first << ": " << feature.value << ", expected " << expected->second;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 2022U);
}

// Rows of a matrix: grey level, second index, direction in the order z y x, value.
using Matrix = std::map<std::string, double>;
std::string Key(const std::string& matrix, int level, int second, const std::string& angle = "") {
  return fmt::format("{} {} {} {}", matrix, level, second, angle);
}

Matrix MatricesOf(const Case& one) {
  Discretisation how;
  how.pyradiomics_edges = true;
  const auto levels = Discretise(IntensitiesOf(one.image, one.mask), how);
  EXPECT_TRUE(levels.has_value());
  const LevelBox box(one.mask, *levels);
  Matrix all;
  const auto put_sizes = [&](const std::string& matrix, const SizeCounts& counts,
                             const std::string& angle) {
    for (const auto& entry : counts.entries()) {
      all[Key(matrix, static_cast<int>(entry.level), static_cast<int>(entry.number), angle)] =
          entry.count;
    }
  };
  for (const Direction& d : Directions3d()) {
    const std::string angle = fmt::format("{} {} {}", d.z, d.y, d.x);
    const CooccurrenceCounts pairs(box, d, 1);
    for (int i = 1; i <= box.level_count(); ++i) {
      for (int j = 1; j <= box.level_count(); ++j) {
        if (pairs.At(i, j) == 0) continue;
        all[Key("glcm", i, j, angle)] =
            static_cast<double>(pairs.At(i, j)) / static_cast<double>(pairs.total());
      }
    }
    put_sizes("glrlm", RunCounts(box, d), angle);
  }
  const auto steps = StepsBothWays(box, Directions3d());
  put_sizes("glszm", CountZones(box, -1, {}).by_size, "");
  put_sizes("gldm", DependenceCounts(box, steps, 0), "");
  const DifferenceCounts differences = CountDifferences(box, steps);
  for (std::size_t i = 1; i < differences.n.size(); ++i) {
    const int level = static_cast<int>(i);
    if (differences.n[i] == 0) continue;
    all[fmt::format("ngtdm {} n_i ", level)] = static_cast<double>(differences.n[i]);
    if (differences.s[i] > 0) all[fmt::format("ngtdm {} s_i ", level)] = differences.s[i];
    all[fmt::format("ngtdm {} i ", level)] = level;
  }
  return all;
}

TEST(PyradiomicsBaseline, EveryElementOfEveryMatrix) {
  CONSILIUM_NEEDS_SHARED(kMatrices);
  const CsvTable table = ReadSharedCsv(kMatrices);
  std::map<std::string, Matrix> expected;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    expected[std::string(table.Cell(row, 0))]
            [fmt::format("{} {} {} {}", table.Cell(row, 1), table.Cell(row, 2), table.Cell(row, 3),
                         table.Cell(row, 4))] = Number(table, row, "value");
  }
  ASSERT_EQ(expected.size(), 3U);
  for (const auto& [name, matrix] : expected) {
    SCOPED_TRACE(name);
    const Matrix ours = MatricesOf(ReadCase(name));
    EXPECT_EQ(ours.size(), matrix.size());
    for (const auto& [key, value] : matrix) {
      const auto found = ours.find(key);
      if (found == ours.end()) {
        ADD_FAILURE() << "no element " << key;
        continue;
      }
      EXPECT_NEAR(found->second, value, 1e-9 * value) << key;
    }
  }
}

}  // namespace
}  // namespace consilium::engine
