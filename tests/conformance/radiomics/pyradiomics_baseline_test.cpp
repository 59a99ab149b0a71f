// PyRadiomics' own regression baseline: three cases, nine variants of settings.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "engine/itk/read_image.h"
#include "engine/pyradiomics.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {
namespace {

using testing_support::Shared;

const std::string kFolder = "reference/radiomics/";
const std::string kBaseline = kFolder + "pyradiomics_baseline.csv";

PyradiomicsSettings SettingsOf(const std::string& variant) {
  PyradiomicsSettings settings;
  PyradiomicsImageSettings& image = settings.images[0].settings;
  if (variant == "default") image.voxel_array_shift = 2000;
  if (variant == "normalization") {
    settings.normalize = true;
    settings.normalize_scale = 100;
    image.bin_width = 5;
  }
  if (variant == "resampling") settings.resampled_spacing_mm = {2, 2, 2};
  if (variant == "resegmentation") {
    settings.resegment_range = {-3, 3};
    settings.resegment_mode = PyradiomicsResegmentMode::kSigma;
  }
  if (variant == "2d") image.force_2d = true;
  if (variant == "FBN") image.bin_count = 64;
  if (variant == "combined") image.weighting = PyradiomicsWeighting::kNoWeighting;
  if (variant == "flatRegion") {
    settings.resegment_range = {0};
    image.bin_width = 5000;
  }
  if (variant == "shape2D") {
    settings.force_2d = true;
    settings.classes = {{"shape2D", {}}};
  }
  return settings;
}

TEST(PyradiomicsBaseline, EveryValueOfEveryVariant) {
  CONSILIUM_NEEDS_SHARED(kBaseline);
  const CsvTable table = testing_support::ReadSharedCsv(kBaseline);
  std::map<std::string, std::map<std::string, double>> expected;  // by case and variant
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    if (table.Cell(row, 6) != "yes") continue;
    expected[fmt::format("{} {}", table.Cell(row, 0), table.Cell(row, 1))]
            [fmt::format("{}_{}", table.Cell(row, 3), table.Cell(row, 4))] =
                testing_support::Number(table, row, "value");
  }
  std::map<std::string, int> worst;
  int compared = 0;
  for (const auto& [name, values] : expected) {
    const std::string one = name.substr(0, name.find(' ')), variant = name.substr(one.size() + 1);
    SCOPED_TRACE(name);
    const auto image =
        itk_files::ReadImage(Shared(kFolder + "data/pyradiomics/" + one + "_image.nrrd"));
    const auto labels =
        itk_files::ReadImage(Shared(kFolder + "data/pyradiomics/" + one + "_label.nrrd"));
    ASSERT_TRUE(image.has_value() && labels.has_value());
    Mask mask{image->image.grid, {}};
    for (const double label : labels->image.values) mask.inside.push_back(label == 1 ? 1 : 0);
    if (variant == "shape2D") {
      const int slice = one == "brain1" ? 16 : one == "brain2" ? 8 : 9;
      for (std::size_t i = 0; i < mask.inside.size(); ++i)
        if (static_cast<int>(i / mask.grid.Index(0, 0, 1)) != slice) mask.inside[i] = 0;
    }
    const auto extraction = PyradiomicsFeatures(image->image, mask, SettingsOf(variant));
    ASSERT_TRUE(extraction.has_value()) << extraction.error().message;
    const int before = compared;
    for (const PyradiomicsFeature& feature : extraction->features) {
      const auto found =
          values.find(fmt::format("{}_{}", feature.feature_class, feature.name));
      if (found == values.end()) continue;
      ++compared;
      const double size = std::max(std::abs(found->second), 1e-9);
      EXPECT_LE(std::abs(feature.value - found->second) / size, 1e-9)
          << found->first << ": " << feature.value << ", expected " << found->second;
    }
    fmt::print("{} {} of {} of {}\n", name, compared - before, values.size(), extraction->features.size());
  }
  EXPECT_EQ(compared, 2022);
}

}  // namespace
}  // namespace consilium::engine
