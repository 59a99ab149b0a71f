// Original and filtered images of 53 cases against PyRadiomics' values.
#include "engine/pyradiomics.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "engine/itk/read_image.h"
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

struct ReferenceCase {
  std::string name;
  Image image;
  Mask mask;
};

// The reference's table and its 53 cases, one after another.
class Reference {
 public:
  Reference() : table_(testing_support::ReadSharedCsv(kReference)) {
    for (std::size_t row = 0; row < table_.row_count(); ++row)
      row_of_[std::string(table_.Cell(row, 0))] = row;
  }
  // How many cases there were.
  template <typename Work>
  int ForEachCase(const Work& work) const {
    int cases = 0;
    for (std::size_t column = 1; column < table_.header().size(); ++column, ++cases) {
      ReferenceCase one{table_.header()[column], {}, {}};
      SCOPED_TRACE(one.name);
      const auto [image_file, mask_file] = FilesOf(one.name);
      auto image = itk_files::ReadImage(Shared(image_file));
      const auto labels = itk_files::ReadImage(Shared(mask_file));
      if (!image || !labels) {
        ADD_FAILURE() << (image ? labels.error().message : image.error().message);
        continue;
      }
      one.image = std::move(image->image);
      one.mask.grid = one.image.grid;
      for (const double label : labels->image.values) one.mask.inside.push_back(label == 1 ? 1 : 0);
      work(one);
    }
    return cases;
  }
  // Every feature, relative to its size; near zero, to the size of what cancels there.
  void Compare(const ReferenceCase& one, const PyradiomicsSettings& settings, double tolerance) {
    const auto extraction = PyradiomicsFeatures(one.image, one.mask, settings);
    ASSERT_TRUE(extraction.has_value()) << extraction.error().message;
    for (const PyradiomicsFeature& feature : extraction->features) Compare(one, feature, tolerance);
  }
  int compared = 0;

 private:
  void Compare(const ReferenceCase& one, const PyradiomicsFeature& feature, double tolerance) {
    const auto& [image, feature_class, name, value] = feature;
    const auto expected_of = [&](std::string_view of_class, std::string_view of_name) {
      const auto row = row_of_.find(fmt::format("{}_{}_{}", image, of_class, of_name));
      return row == row_of_.end() ? std::nan("")
                                  : testing_support::Number(table_, row->second, one.name);
    };
    const double expected = expected_of(feature_class, name);
    double size = std::max(std::abs(expected), 1e-9);  // entropies of one level are -3e-16 there
    if (name == "Mean" || name == "Median")
      size = std::max(size, expected_of("firstorder", "RootMeanSquared"));
    if (name == "Skewness") size = std::max(size, 1.0);
    // PyRadiomics adds 2.2e-16 to products of probabilities, which may be as small as 1e-10.
    const double allowed = name == "MCC" ? std::max(tolerance, 2e-6) : tolerance;
    EXPECT_LE(std::abs(value - expected) / size, allowed)
        << image << "_" << feature_class << "_" << name << ": " << value << ", expected "
        << expected;
    ++compared;
  }

  CsvTable table_;
  std::map<std::string, std::size_t> row_of_;
};

PyradiomicsSettings Only(const PyradiomicsImageType& type) {
  PyradiomicsSettings settings;
  settings.images = {type};
  settings.classes.pop_back();  // shape
  return settings;
}

TEST(Pyradiomics, TheOriginalImageOfAllCases) {
  CONSILIUM_NEEDS_SHARED(kReference);
  Reference reference;
  const int cases = reference.ForEachCase(
      [&](const ReferenceCase& one) { reference.Compare(one, PyradiomicsSettings(), 1e-9); });
  EXPECT_EQ(cases, 53);
  EXPECT_EQ(reference.compared, 53 * 107);
}

TEST(Pyradiomics, TheLaplaciansOfGaussiansOfAllCases) {
  CONSILIUM_NEEDS_SHARED(kReference);
  PyradiomicsImageSettings of_log;
  of_log.sigmas = {{1}, {2}, {3}, {4}, {5}};
  const PyradiomicsSettings settings = Only({PyradiomicsFilter::kLoG, of_log});
  Reference reference;
  const int cases = reference.ForEachCase(
      [&](const ReferenceCase& one) { reference.Compare(one, settings, 1e-6); });
  EXPECT_EQ(cases, 53);
  EXPECT_EQ(reference.compared, 53 * 5 * 93);
}

// The reference took the wavelets of the other 50, which are stored in single precision, in single
// precision: there a voxel in 300,000 falls into the other bin, and nothing can be compared to
// 1e-9.
TEST(Pyradiomics, TheWaveletSubBandsOfTheCasesInWholeNumbers) {
  CONSILIUM_NEEDS_SHARED(kReference);
  Reference reference;
  reference.ForEachCase([&](const ReferenceCase& one) {
    if (one.name.starts_with("br"))
      reference.Compare(one, Only({PyradiomicsFilter::kWavelet, {}}), 1e-9);
  });
  EXPECT_EQ(reference.compared, 3 * 8 * 93);
}

}  // namespace
}  // namespace consilium::engine
