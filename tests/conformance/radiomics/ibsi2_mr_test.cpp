// MR images of sarcomas, filtered, against what the nine teams of IBSI-2's third phase found.
//
// There is no reference but the teams' median: where most of them lie within 0.1 % of it, this must
// lie within 1 %. Not of configuration 3, where the teams part into two groups, nor of 8 and 9 (two
// grids of frequencies). Every fourth patient, for the time it takes: of all 49, 10 of 4,773 values
// part, all of them within what the teams found (STS_004 and STS_035: minima of the interpolated
// image; STS_044: its moments).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/filter/ibsi_filter.h"
#include "engine/ibsi.h"
#include "engine/intensity.h"
#include "engine/itk/read_image.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {
namespace {

using testing_support::Shared;

const std::string kTeams = "reference/radiomics/ibsi2_phase3_mr_t1_teams.csv";
const std::string kPatients = "data/sts_mr_t1/nifti";

std::optional<PreparedRegion> Prepared(const std::string& patient) {
  const std::string files = kPatients + "/" + patient + "/MR_T1_";
  const auto image = itk_files::ReadImage(Shared(files + "image.nii.gz")),
             labels = itk_files::ReadImage(Shared(files + "mask.nii.gz"));
  if (!image || !labels) {
    ADD_FAILURE() << (image ? labels.error().message : image.error().message);
    return std::nullopt;
  }
  Mask mask{image->image.grid, {}};
  for (const double label : labels->image.values) mask.inside.push_back(label == 1 ? 1 : 0);
  IbsiSettings settings;
  settings.resampling.spacing_mm = {1, 1, 1};
  settings.resampling.interpolation = Interpolation::kCubicSpline;
  auto region = Prepare(image->image, mask, settings);
  if (!region) {
    ADD_FAILURE() << region.error().message;
    return std::nullopt;
  }
  return std::move(*region);
}

struct Configuration {
  std::string number;
  std::optional<IbsiFilter> filter;
};

std::vector<Configuration> Configurations() {
  const auto coiflet = [](const std::string& band, int level, Pooling pooling) {
    return WaveletFilter{"coif3", band, level, true, pooling, Boundary::kMirror};
  };
  return {{"1", std::nullopt},
          {"2", MeanFilter{3}},
          {"4", LawsFilter{"S5E5L5", true, Pooling::kMax, 5}},
          {"5", GaborFilter{3, 3, 1, -112.5}},
          {"6", coiflet("LHH", 1, Pooling::kMean)},
          {"7", coiflet("HHH", 2, Pooling::kMax)}};
}

// By the table's tags.
std::map<std::string, double> StatisticsOf(const std::vector<double>& inside) {
  const IntensityFeatures f = IntensityStatistics(inside);
  return {{"stat_mean", f.mean},
          {"stat_var", f.variance},
          {"stat_skew", f.skewness},
          {"stat_kurt", f.kurtosis},
          {"stat_median", f.median},
          {"stat_min", f.minimum},
          {"stat_p10", f.percentile_10},
          {"stat_p90", f.percentile_90},
          {"stat_max", f.maximum},
          {"stat_iqr", f.interquartile_range},
          {"stat_range", f.range},
          {"stat_mad", f.mean_absolute_deviation},
          {"stat_rmad", f.robust_mean_absolute_deviation},
          {"stat_medad", f.median_absolute_deviation},
          {"stat_cov", f.coefficient_of_variation},
          {"stat_qcod", f.quartile_coefficient_of_dispersion},
          {"stat_energy", f.energy},
          {"stat_rms", f.root_mean_square}};
}

TEST(IbsiFilteredMr, LiesWithTheMajorityOfTheTeams) {
  CONSILIUM_NEEDS_SHARED(kPatients);
  const CsvTable table = testing_support::ReadSharedCsv(kTeams);
  // Rows by patient and configuration.
  std::map<std::string, std::map<std::string, std::vector<std::size_t>>> rows;
  const auto cell = [&](std::size_t row, const std::string& column) {
    return std::string(table.Cell(row, *table.Column(column)));
  };
  for (std::size_t row = 0; row < table.row_count(); ++row)
    rows[cell(row, "patient")][cell(row, "config")].push_back(row);
  int compared = 0, tenth = 0, without_majority = 0, patients = 0;
  for (const auto& [patient, by_configuration] : rows) {
    if (patients++ % 4 != 0 || patient == "STS_009") continue;  // one that has no image here
    const auto region = Prepared(patient);
    if (!region) continue;
    const Box box = BoundingBoxOf(region->intensity);
    for (const auto& [number, filter] : Configurations()) {
      std::vector<double> inside = IntensitiesOf(region->image, region->intensity);
      if (filter) {
        const auto response = Filtered(region->image, *filter, box);
        ASSERT_TRUE(response.has_value()) << response.error().message;
        inside = IntensitiesOf(*response, Cut(region->intensity, box));
      }
      const auto ours = StatisticsOf(inside);
      for (const std::size_t row : by_configuration.at(number)) {
        const auto value_of = [&](const std::string& column) {
          return testing_support::Number(table, row, column);
        };
        if (2 * value_of("n_within_0.1pct") <= value_of("n_teams")) {
          ++without_majority;
          continue;
        }
        const double value = ours.at(cell(row, "tag")), median = value_of("median"),
                     off = std::abs(value / median - 1);
        EXPECT_LE(off, 0.01) << patient << ", configuration " << number << ", " << cell(row, "tag")
                             << ": " << value << ", the teams' median " << median;
        ++compared;
        if (off <= 0.001) ++tenth;
      }
    }
  }
  fmt::print("{} values compared, {} within 0.1 %; {} on which the teams do not agree\n", compared,
             tenth, without_majority);
  RecordProperty("compared", compared);
  EXPECT_EQ(patients, 51);
  EXPECT_EQ(compared + without_majority, 12 * 6 * 18);
  EXPECT_GT(compared, 9 * without_majority / 2);
}

}  // namespace
}  // namespace consilium::engine
