// The CT of the IBSI, configurations A to E, against the reference values.
#include <gtest/gtest.h>

#include "engine/ibsi.h"
#include "engine/itk/read_image.h"
#include "tests/conformance/radiomics/ibsi1_values.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {
namespace {

using testing_support::Shared;

const std::string kFolder = "reference/radiomics/data/ibsi1_ct_phantom/nifti";

struct Ct {
  Image image;
  Mask mask;
};

Ct ReadCt() {
  auto image = itk_files::ReadImage(Shared(kFolder + "/image.nii.gz"));
  auto mask = itk_files::ReadImage(Shared(kFolder + "/mask.nii.gz"));
  EXPECT_TRUE(image.has_value()) << image.error().message;
  EXPECT_TRUE(mask.has_value()) << mask.error().message;
  Ct ct{std::move(image->image), {mask->image.grid, {}}};
  RoundIntensities(ct.image);  // stored as, say, -999.99994
  for (const double value : mask->image.values) ct.mask.inside.push_back(value > 0.5 ? 1 : 0);
  EXPECT_EQ(ct.image.grid.size, ct.mask.grid.size);
  ct.mask.grid = ct.image.grid;
  return ct;
}

IbsiSettings Configuration(char letter) {
  IbsiSettings s;
  using Method = Discretisation::Method;
  s.by_slice = letter == 'A' || letter == 'B';
  s.in_volume = !s.by_slice;
  s.round_intensities = true;
  if (letter == 'B') s.resampling.spacing_mm = {2, 2, 0};
  if (letter >= 'C') s.resampling.spacing_mm = {2, 2, 2};
  if (letter == 'E') s.resampling.interpolation = Interpolation::kCubicSpline;
  if (letter == 'A' || letter == 'B') s.resegmentation.low = -500;
  if (letter == 'C' || letter == 'E') s.resegmentation.low = -1000;
  if (letter != 'D') s.resegmentation.high = 400;
  if (letter == 'D' || letter == 'E') s.resegmentation.outlier_sigmas = 3;
  const bool by_size = letter == 'A' || letter == 'C';
  s.discretisation.method = by_size ? Method::kFixedBinSize : Method::kFixedBinNumber;
  if (letter == 'C') s.volume_histogram = VolumeHistogramLevels::kFixedBinSize;
  if (letter == 'E') s.volume_histogram = VolumeHistogramLevels::kFixedBinNumber;
  return s;
}

class IbsiCt : public ::testing::TestWithParam<char> {};

TEST_P(IbsiCt, EveryValue) {
  CONSILIUM_NEEDS_SHARED(kFolder);
  static const Ct kCt = ReadCt();
  const IbsiSettings settings = Configuration(GetParam());
  const auto region = Prepare(kCt.image, kCt.mask, settings);
  ASSERT_TRUE(region.has_value()) << region.error().message;
  const auto features = IbsiFeatures(*region, settings);
  ASSERT_TRUE(features.has_value()) << features.error().message;
  EXPECT_EQ(CompareWithIbsi1(std::string(1, GetParam()), *features), GetParam() < 'C' ? 346 : 210);
}

INSTANTIATE_TEST_SUITE_P(Configurations, IbsiCt, ::testing::Values('A', 'B', 'C', 'D', 'E'),
                         [](const auto& test) { return std::string(1, test.param); });

}  // namespace
}  // namespace consilium::engine
