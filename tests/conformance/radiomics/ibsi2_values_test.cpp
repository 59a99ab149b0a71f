// The CT of the IBSI, filtered, configurations 1 to 9, A and B, against the reference values.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/filter/ibsi_filter.h"
#include "engine/ibsi.h"
#include "engine/intensity.h"
#include "tests/conformance/radiomics/ibsi_ct.h"
#include "tests/conformance/radiomics/ibsi_value.h"

namespace consilium::engine {
namespace {

const std::string kIbsi2Values = "reference/radiomics/ibsi2_reference.csv";

// A by slice on the voxels as they are, B in 3D on voxels of 1 mm.
PreparedRegion Prepared(char letter) {
  const IbsiCtCase ct = ReadIbsiCt();
  IbsiSettings settings;
  if (letter == 'B') {
    settings.resampling.spacing_mm = {1, 1, 1};
    settings.resampling.interpolation = Interpolation::kCubicSpline;
    settings.round_intensities = true;
  }
  settings.resegmentation = {-1000, 400, {}};
  auto region = Prepare(ct.image, ct.mask, settings);
  EXPECT_TRUE(region.has_value()) << region.error().message;
  return std::move(*region);
}

// None for configuration 1.
std::optional<IbsiFilter> Configuration(int number, char letter) {
  const bool in_space = letter == 'B';
  const Dimensions dimensions = in_space ? Dimensions::k3d : Dimensions::k2d;
  const auto wavelet = [](const std::string& band, int level) {
    WaveletFilter filter;
    filter.wavelet = "db3";
    filter.band = band;
    filter.level = level;
    return filter;
  };
  switch (number) {
    case 2:
      return MeanFilter{5, dimensions};
    case 3:
      return LaplacianFilter{1.5, 4, dimensions};
    case 4: {
      LawsFilter filter;
      filter.kernels = in_space ? "L5E5E5" : "L5E5";
      return filter;
    }
    case 5: {
      GaborFilter filter{5, 2, 1.5, 0, 22.5};
      if (in_space) filter.planes = {{0, 1}, {0, 2}, {1, 2}};
      return filter;
    }
    case 6:
      return wavelet(in_space ? "LLH" : "LH", 1);
    case 7:
      return wavelet(in_space ? "HHH" : "HH", 2);
    case 8:
      return SimoncelliFilter{1, dimensions};
    case 9:
      return SimoncelliFilter{2, dimensions};
    default:
      return std::nullopt;
  }
}

class IbsiFilteredCt : public ::testing::TestWithParam<std::string> {};

TEST_P(IbsiFilteredCt, EveryStatistic) {
  CONSILIUM_NEEDS_SHARED(kIbsiCt);
  const char letter = GetParam()[2];
  static std::map<char, PreparedRegion> regions;
  if (!regions.contains(letter)) regions.emplace(letter, Prepared(letter));
  const PreparedRegion& region = regions.at(letter);
  const Box box = BoundingBoxOf(region.intensity);
  std::vector<double> inside = IntensitiesOf(region.image, region.intensity);
  EXPECT_EQ(inside.size(), letter == 'A' ? 125238 : 357802);
  if (const auto filter = Configuration(GetParam()[0] - '0', letter)) {
    const auto response = Filtered(region.image, *filter, box);
    ASSERT_TRUE(response.has_value()) << response.error().message;
    inside = IntensitiesOf(*response, Cut(region.intensity, box));
  }
  std::map<std::string, double> ours;
  IntensityFeatures::Visit(
      IntensityStatistics(inside),
      [&](const FeatureName& name, const double& value) { ours[std::string(name.ibsi)] = value; });
  const CsvTable table = testing_support::ReadSharedCsv(kIbsi2Values);
  int compared = 0;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    const auto cell = [&](const std::string& column) {
      return std::string(table.Cell(row, *table.Column(column)));
    };
    if (cell("config") != GetParam() || cell("value").empty()) continue;
    ExpectIbsiValue(table, row, ours.at(cell("ibsi_code")),
                    fmt::format("{} {}", GetParam(), cell("feature_name")));
    ++compared;
  }
  EXPECT_EQ(compared, GetParam() == "8.B" ? 17 : 18);
}

std::vector<std::string> Configurations() {
  std::vector<std::string> all;
  for (const char letter : {'A', 'B'}) {
    for (int number = 1; number <= 9; ++number) all.push_back(fmt::format("{}.{}", number, letter));
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Configurations, IbsiFilteredCt, ::testing::ValuesIn(Configurations()),
                         [](const auto& test) { return test.param.substr(2) + test.param[0]; });

}  // namespace
}  // namespace consilium::engine
