// The CT of the IBSI, configurations A to E, against the reference values.
#include <gtest/gtest.h>

#include "engine/grey_levels.h"
#include "engine/ibsi.h"
#include "engine/intensity.h"
#include "tests/conformance/radiomics/ibsi1_values.h"
#include "tests/conformance/radiomics/ibsi_ct.h"

namespace consilium::engine {
namespace {

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

// What the reference's diagnostics say of an image and of its masks, by their tags.
class Diagnostics {
 public:
  void OfImage(const std::string& stage, const Image& image) {
    Sizes("img_dim", stage, image.grid.size);
    Sizes("vox_dim", stage, image.grid.spacing_mm);
    Intensities("", stage, image.values);
  }
  void OfRegion(const std::string& stage, const Image& image, const Mask& intensity,
                const Mask& morphological) {
    Sizes("int_mask_dim", stage, intensity.grid.size);
    for (const auto& [name, mask] :
         {std::pair("int_mask", &intensity), std::pair("morph_mask", &morphological)}) {
      const LevelBox box(*mask, {std::vector<std::uint16_t>(mask->inside.size(), 1), 1});
      Sizes(std::string(name) + "_bb_dim", stage, box.size());
      values[fmt::format("{}_vox_count_{}", name, stage)] =
          static_cast<double>(box.voxels().size());
    }
    Intensities("int_mask_", stage, IntensitiesOf(image, intensity));
  }
  std::map<std::string, double> values;

 private:
  template <typename Numbers>
  void Sizes(const std::string& what, const std::string& stage, const Numbers& numbers) {
    for (std::size_t axis = 0; axis < 3; ++axis)
      values[fmt::format("{}_{}_{}", what, "xyz"[axis], stage)] = numbers[axis];
  }
  void Intensities(const std::string& what, const std::string& stage,
                   const std::vector<double>& all) {
    const IntensityFeatures f = IntensityStatistics(all);
    values[fmt::format("{}mean_int_{}", what, stage)] = f.mean;
    values[fmt::format("{}min_int_{}", what, stage)] = f.minimum;
    values[fmt::format("{}max_int_{}", what, stage)] = f.maximum;
  }
};

class IbsiCt : public ::testing::TestWithParam<char> {};

TEST_P(IbsiCt, EveryValue) {
  CONSILIUM_NEEDS_SHARED(kIbsiCt);
  static const IbsiCtCase kCt = ReadIbsiCt();
  const IbsiSettings settings = Configuration(GetParam());
  const auto region = Prepare(kCt.image, kCt.mask, settings);
  ASSERT_TRUE(region.has_value()) << region.error().message;
  Diagnostics diagnostics;
  IbsiSettings only_resampled = settings;
  only_resampled.resegmentation = {};
  const auto resampled = Prepare(kCt.image, kCt.mask, only_resampled);
  ASSERT_TRUE(resampled.has_value()) << resampled.error().message;
  diagnostics.OfImage("init_img", kCt.image);
  diagnostics.OfImage("interp_img", region->image);
  diagnostics.OfRegion("init_roi", kCt.image, kCt.mask, kCt.mask);
  diagnostics.OfRegion("interp_roi", region->image, resampled->intensity, region->morphological);
  diagnostics.OfRegion("reseg_roi", region->image, region->intensity, region->morphological);
  EXPECT_EQ(CompareDiagnostics(std::string(1, GetParam()), diagnostics.values), 60);
  const auto features = IbsiFeatures(*region, settings);
  ASSERT_TRUE(features.has_value()) << features.error().message;
  EXPECT_EQ(CompareWithIbsi1(std::string(1, GetParam()), *features), GetParam() < 'C' ? 346 : 210);
}

INSTANTIATE_TEST_SUITE_P(Configurations, IbsiCt, ::testing::Values('A', 'B', 'C', 'D', 'E'),
                         [](const auto& test) { return std::string(1, test.param); });

}  // namespace
}  // namespace consilium::engine
