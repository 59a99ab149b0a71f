// The digital phantoms of the IBSI-2, filtered, against the 33 reference response maps.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/filter/ibsi_filter.h"
#include "engine/itk/read_image.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {
namespace {

using testing_support::Shared;

const std::string kFolder = "reference/radiomics/data/ibsi2_response_maps";
const std::string kPhantoms = "reference/radiomics/data/ibsi2_digital_phantoms";

struct Map {
  std::string id, phantom;
  IbsiFilter filter;
};

std::vector<Map> Maps() {
  using enum Boundary;
  using enum Dimensions;
  using enum Pooling;
  std::vector<Map> maps = {
      {"1_a_1", "checkerboard", MeanFilter{15, k3d, kZero}},
      {"1_a_2", "checkerboard", MeanFilter{15, k3d, kNearest}},
      {"1_a_3", "checkerboard", MeanFilter{15, k3d, kPeriodic}},
      {"1_a_4", "checkerboard", MeanFilter{15, k3d, kMirror}},
      {"1_b_1", "impulse", MeanFilter{15, k2d, kZero}},
      {"2_a", "impulse", LaplacianFilter{3, 4, k3d, kZero}},
      {"2_b", "checkerboard", LaplacianFilter{5, 4, k3d, kMirror}},
      {"2_c", "checkerboard", LaplacianFilter{5, 4, k2d, kMirror}},
      {"5_a_1", "impulse", WaveletFilter{"db2", "LHL", 1, false, kMean, kZero}},
      {"5_a_2", "impulse", WaveletFilter{"db2", "LHL", 1, true, kMean, kZero}},
      {"6_a_1", "sphere", WaveletFilter{"coif1", "HHL", 1, false, kMean, kPeriodic}},
      {"6_a_2", "sphere", WaveletFilter{"coif1", "HHL", 1, true, kMean, kPeriodic}},
      {"7_a_1", "checkerboard", WaveletFilter{"haar", "LLL", 2, true, kMean, kMirror}},
      {"7_a_2", "checkerboard", WaveletFilter{"haar", "HHH", 2, true, kMean, kMirror}},
      {"8_a_1", "checkerboard", SimoncelliFilter{1, k3d}},
      {"8_a_2", "checkerboard", SimoncelliFilter{2, k3d}},
      {"8_a_3", "checkerboard", SimoncelliFilter{3, k3d}},
      {"9_a", "impulse", RieszFilter{{1, 0, 0}, LaplacianFilter{3, 4, k3d, kZero}}},
      {"9_b_1", "sphere", RieszFilter{{0, 2, 0}, LaplacianFilter{3, 4, k3d, kZero}}},
      {"10_b_1", "pattern_1", RieszFilter{{0, 2, 0}, SimoncelliFilter{1, k3d}}},
  };
  const auto add_laws = [&](const std::string& id, const std::string& phantom,
                            const std::string& kernels, Boundary boundary) {
    maps.push_back({id + "_1", phantom, LawsFilter{kernels, false, kMax, 0, boundary}});
    maps.push_back({id + "_2", phantom, LawsFilter{kernels, true, kMax, 0, boundary}});
    maps.push_back({id + "_3", phantom, LawsFilter{kernels, true, kMax, 7, boundary}});
  };
  add_laws("3_a", "impulse", "E5L5S5", kZero);
  add_laws("3_b", "checkerboard", "E3W5R5", kMirror);
  add_laws("3_c", "checkerboard", "L5S5", kMirror);
  const std::vector<std::array<int, 2>> all_planes = {{0, 1}, {0, 2}, {1, 2}};
  maps.push_back({"4_a_1", "impulse", GaborFilter{10, 4, 0.5, 60, 0, kMean, {{0, 1}}, kZero}});
  maps.push_back({"4_a_2", "impulse", GaborFilter{10, 4, 0.5, 0, 45, kMean, all_planes, kZero}});
  maps.push_back({"4_b_1", "sphere", GaborFilter{20, 8, 2.5, 225, 0, kMean, {{0, 1}}, kMirror}});
  maps.push_back({"4_b_2", "sphere", GaborFilter{20, 8, 2.5, 0, 22.5, kMean, all_planes, kMirror}});
  return maps;
}

class IbsiResponseMap : public ::testing::TestWithParam<Map> {};

// Every voxel within a hundredth of the reference map's range.
TEST_P(IbsiResponseMap, EveryVoxel) {
  CONSILIUM_NEEDS_SHARED(kFolder);
  const auto phantom =
      itk_files::ReadImage(Shared(fmt::format("{}/{}.nii.gz", kPhantoms, GetParam().phantom)));
  const auto reference =
      itk_files::ReadImage(Shared(fmt::format("{}/{}-ValidCRM.nii.gz", kFolder, GetParam().id)));
  ASSERT_TRUE(phantom.has_value()) << phantom.error().message;
  ASSERT_TRUE(reference.has_value()) << reference.error().message;
  const Image& image = phantom->image;
  ASSERT_EQ(image.grid.size, (std::array<int, 3>{64, 64, 64}));
  const auto ours = Filtered(image, GetParam().filter, {{0, 0, 0}, {63, 63, 63}, false});
  ASSERT_TRUE(ours.has_value()) << ours.error().message;
  const auto& theirs = reference->image.values;
  ASSERT_EQ(ours->values.size(), theirs.size());
  const auto [low, high] = std::minmax_element(theirs.begin(), theirs.end());
  double largest = 0;
  for (std::size_t i = 0; i < theirs.size(); ++i)
    largest = std::max(largest, std::abs(ours->values[i] - theirs[i]));
  // 1.a.3 is one value everywhere but for its single precision: there the image's range counts.
  const double range = *high - *low > 1e-3 * std::abs(*high) ? *high - *low : 255;
  RecordProperty("largest_difference_percent", fmt::format("{:.4f}", 100 * largest / range));
  fmt::print("{}: largest difference {:.4f} % of the range\n", GetParam().id,
             100 * largest / range);
  EXPECT_LE(largest, range / 100);
}

INSTANTIATE_TEST_SUITE_P(Maps, IbsiResponseMap, ::testing::ValuesIn(Maps()),
                         [](const auto& test) { return test.param.id; });

}  // namespace
}  // namespace consilium::engine
