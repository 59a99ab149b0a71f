// The original image of 53 cases against PyRadiomics' values.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <string>

#include "engine/itk/read_image.h"
#include "engine/pyradiomics.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {
namespace {

using testing_support::Shared;

const std::string kReference = "reference/radiomics/pyradiomics_current_code.csv";

// Where a case's image and mask are; the mask's label is 1.
std::pair<std::string, std::string> FilesOf(const std::string& name) {
  const std::string folder = "reference/radiomics/data/";
  if (name == "ibsi_ct") {
    return {folder + "ibsi1_ct_phantom/nifti/image.nii.gz",
            folder + "ibsi1_ct_phantom/nifti/mask.nii.gz"};
  }
  if (name.starts_with("STS_")) {
    const std::string of_case = "data/sts_mr_t1/nifti/" + name + "/MR_T1_";
    return {of_case + "image.nii.gz", of_case + "mask.nii.gz"};
  }
  return {folder + "pyradiomics/" + name + "_image.nrrd",
          folder + "pyradiomics/" + name + "_label.nrrd"};
}

TEST(PyradiomicsOriginal, AllFeaturesOfAllCases) {
  CONSILIUM_NEEDS_SHARED(kReference);
  const auto table = testing_support::ReadSharedCsv(kReference);
  std::map<std::string, std::size_t> row_of;
  for (std::size_t row = 0; row < table.row_count(); ++row)
    row_of[std::string(table.Cell(row, 0))] = row;
  int cases = 0, compared = 0;
  for (std::size_t column = 1; column < table.header().size(); ++column) {
    const std::string name(table.header()[column]);
    SCOPED_TRACE(name);
    const auto [image_file, mask_file] = FilesOf(name);
    const auto image = itk_files::ReadImage(Shared(image_file)),
               labels = itk_files::ReadImage(Shared(mask_file));
    ASSERT_TRUE(image.has_value()) << image.error().message;
    ASSERT_TRUE(labels.has_value()) << labels.error().message;
    Mask mask{image->image.grid, {}};
    for (const double label : labels->image.values) mask.inside.push_back(label == 1 ? 1 : 0);
    auto features = PyradiomicsIntensityFeatures(image->image, mask);
    const auto shape = PyradiomicsShapeFeatures(mask);
    ASSERT_TRUE(features.has_value()) << features.error().message;
    ASSERT_TRUE(shape.has_value()) << shape.error().message;
    features->insert(features->end(), shape->begin(), shape->end());
    EXPECT_EQ(features->size(), 107U);
    for (const PyradiomicsFeature& one : *features) {
      const std::string key = fmt::format("original_{}_{}", one.feature_class, one.name);
      ASSERT_TRUE(row_of.contains(key)) << key;
      const double expected = testing_support::Number(table, row_of[key], name);
      const double difference = std::abs(one.value - expected),
                   relative = difference / std::max(std::abs(expected), 1e-12);
      // PyRadiomics adds 2.2e-16 to products of probabilities, which may be as small as 1e-10.
      EXPECT_LE(relative, key == "original_glcm_MCC" ? 1e-6 : 1e-9)
          << key << ": " << one.value << ", expected " << expected;
      ++compared;
    }
    ++cases;
  }
  EXPECT_EQ(cases, 53);
  EXPECT_EQ(compared, 53 * 107);
}

}  // namespace
}  // namespace consilium::engine
