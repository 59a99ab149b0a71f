// Configurations: IBSI-2 reference manual (arXiv 2006.05470), "Reference data sets", phases 1, 2.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "engine/filter/ibsi_filter.h"
#include "engine/ibsi.h"
#include "engine/intensity.h"
#include "engine/itk/read_image.h"
#include "extraction/compliance/reference_set.h"

namespace consilium::compliance {
namespace {

namespace fs = std::filesystem;
using engine::Dimensions;
using engine::GaborFilter;
using engine::IbsiFilter;
using engine::LaplacianFilter;
using engine::LawsFilter;
using engine::MeanFilter;
using engine::RieszFilter;
using engine::SimoncelliFilter;
using engine::WaveletFilter;

struct ResponseMap {
  std::string id, phantom;
  IbsiFilter filter;
};

std::vector<ResponseMap> Maps() {
  using enum engine::Boundary;
  using enum engine::Dimensions;
  using enum engine::Pooling;
  std::vector<ResponseMap> maps = {
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
                            const std::string& kernels, engine::Boundary boundary) {
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

Result<std::vector<Comparison>> CompareMap(const ResponseMap& map, const fs::path& phantom_file,
                                           const fs::path& reference_file) {
  const auto phantom = engine::itk_files::ReadImage(phantom_file);
  CONSILIUM_TRY(phantom);
  const auto reference = engine::itk_files::ReadImage(reference_file);
  CONSILIUM_TRY(reference);
  const engine::Image& image = phantom->image;
  const std::array<int, 3>& size = image.grid.size;
  const std::vector<double> theirs = reference->image.values.AsDoubles();
  if (size != reference->image.grid.size || theirs.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} has {} voxels, its phantom {}; take both from one publication",
                            reference_file.string(), fmt::join(reference->image.grid.size, " x "),
                            fmt::join(size, " x ")));
  }
  const auto ours = engine::Filtered(image, map.filter,
                                     {{0, 0, 0}, {size[0] - 1, size[1] - 1, size[2] - 1}, false});
  CONSILIUM_TRY(ours);
  double largest = 0;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const double difference = std::abs(ours->values[i] - theirs[i]);
    // A response that is not a number stays so.
    if (!(difference <= largest)) largest = difference;
    if (std::isnan(largest)) break;
  }
  Comparison row;
  row.configuration = map.id;
  row.family = "response map";
  row.feature = "Largest difference, % of the range";
  row.reference = 0;
  row.tolerance = 1;
  const auto [low, high] = std::minmax_element(theirs.begin(), theirs.end());
  double range = *high - *low;
  if (range <= 1e-3 * std::abs(*high)) {
    range = 255;
    row.cause =
        "of the phantom's range, 255, since the map is one value but for its single precision";
  }
  row.ours = 100 * largest / range;
  row.verdict = JudgeNumber(row.reference, row.tolerance, row.ours);
  return std::vector{row};
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

Result<Values> Statistics(const engine::PreparedRegion& region, int number, char letter) {
  std::vector<double> inside = engine::IntensitiesOf(region.image, region.intensity);
  if (const auto filter = Configuration(number, letter)) {
    const engine::Box box = engine::BoundingBoxOf(region.intensity);
    const auto response = engine::Filtered(region.image, *filter, box);
    CONSILIUM_TRY(response);
    inside = engine::IntensitiesOf(*response, engine::Cut(region.intensity, box));
  }
  Values values;
  engine::IntensityFeatures::Visit(engine::IntensityStatistics(inside),
                                   [&](const engine::FeatureName& name, const double& value) {
                                     values[std::string(name.ibsi)] = value;
                                   });
  return values;
}

std::vector<Expected> Wanted(const ReferenceTable& table, const std::string& configuration) {
  std::vector<Expected> wanted;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    if (table.Text(row, "config") != configuration) continue;
    Comparison one;
    const std::string filter = table.Text(row, "filter");
    one.configuration = configuration + (filter == "none" ? "" : ", " + filter);
    one.family = "intensity_statistics";
    one.aggregation = table.Text(row, "dimension");
    one.feature = table.Text(row, "feature_name");
    one.ibsi_code = table.Text(row, "ibsi_code");
    one.reference = table.Number(row, "value");
    one.tolerance = table.Number(row, "tolerance");
    if (std::isnan(one.reference)) one.cause = "the IBSI has no consensus on a value";
    wanted.push_back({one.ibsi_code, std::move(one)});
  }
  return wanted;
}

}  // namespace

Result<engine::PreparedRegion> Ibsi2Region(ReferenceCase ct, char letter) {
  engine::RoundIntensities(ct.image);  // stored as, say, -999.99994
  engine::IbsiSettings settings;
  if (letter == 'B') {
    settings.resampling.spacing_mm = {1, 1, 1};
    settings.resampling.interpolation = engine::Interpolation::kCubicSpline;
    settings.round_intensities = true;
  }
  settings.resegmentation = {-1000, 400, {}};
  return engine::Prepare(ct.image, ct.mask, settings);
}

ReferenceSet Ibsi2ResponseMaps(const Folders& folders) {
  ReferenceSet set;
  set.name = "IBSI-2 phase 1";
  set.rule = "A response map holds if every voxel lies within 1 % of the reference map's range.";
  for (ResponseMap& map : Maps()) {
    const fs::path data = folders.reference / "data",
                   phantom = data / "ibsi2_digital_phantoms" / (map.phantom + ".nii.gz"),
                   reference = data / "ibsi2_response_maps" / (map.id + "-ValidCRM.nii.gz");
    const std::string id = map.id;
    set.parts.push_back({id, {phantom, reference}, [=, map = std::move(map)] {
                           return CompareMap(map, phantom, reference);
                         }});
  }
  return set;
}

ReferenceSet Ibsi2(const Folders& folders) {
  ReferenceSet set;
  set.name = "IBSI-2 phase 2";
  set.table = folders.reference / "ibsi2_reference.csv";
  set.rule =
      "A value holds within the tolerance of the IBSI's table; references have three significant "
      "digits, and ours is rounded alike.";
  const fs::path folder = folders.reference / "data" / "ibsi1_ct_phantom" / "nifti",
                 image = folder / "image.nii.gz", mask = folder / "mask.nii.gz";
  for (const char letter : {'A', 'B'}) {
    set.parts.push_back({std::string(1, letter),
                         {set.table, image, mask},
                         [=, path = set.table]() -> Result<std::vector<Comparison>> {
                           const auto table = ReferenceTable::Read(path);
                           CONSILIUM_TRY(table);
                           auto ct = ReadReferenceCase(image, mask);
                           CONSILIUM_TRY(ct);
                           const auto region = Ibsi2Region(std::move(*ct), letter);
                           CONSILIUM_TRY(region);
                           std::vector<Comparison> rows;
                           for (int number = 1; number <= 9; ++number) {
                             const auto ours = Statistics(*region, number, letter);
                             CONSILIUM_TRY(ours);
                             const auto compared =
                                 Compare(Wanted(*table, fmt::format("{}.{}", number, letter)),
                                         *ours, JudgeThreeDigits, Surplus::kLeaveOut);
                             rows.insert(rows.end(), compared.begin(), compared.end());
                           }
                           return rows;
                         }});
  }
  return set;
}

}  // namespace consilium::compliance
