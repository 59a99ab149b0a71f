// The digital phantom against the IBSI's matrices and values.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "engine/glcm.h"
#include "engine/intensity.h"
#include "engine/local_intensity.h"
#include "engine/morphology.h"
#include "engine/ngtdm.h"
#include "engine/runs_and_zones.h"
#include "tests/support/digital_phantom.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {
namespace {

using Json = nlohmann::json;
using testing::MakeDigitalPhantom;
using testing_support::Number;
using testing_support::ReadShared;
using testing_support::ReadSharedCsv;

const std::string kMatrices = "reference/radiomics/ibsi1_digital_phantom_matrices.json";
const std::string kValues = "reference/radiomics/ibsi1_reference.csv";

GreyLevels LevelsOf(const testing::DigitalPhantom& phantom) {
  Discretisation as_they_are;
  as_they_are.method = Discretisation::Method::kNone;
  const auto levels = Discretise(phantom.inside, as_they_are);
  EXPECT_TRUE(levels.has_value());
  return *levels;
}

// Rows of three numbers, in order.
using Rows = std::vector<std::vector<double>>;

Rows RowsOf(const SizeCounts& counts) {
  Rows rows;
  for (const auto& entry : counts.entries()) {
    rows.push_back({static_cast<double>(entry.level), static_cast<double>(entry.number),
                    static_cast<double>(entry.count)});
  }
  return rows;
}

Rows RowsOf(const CooccurrenceCounts& counts) {
  Rows rows;
  for (int i = 1; i <= counts.level_count(); ++i) {
    for (int j = 1; j <= counts.level_count(); ++j) {
      if (counts.At(i, j) > 0) {
        rows.push_back(
            {static_cast<double>(i), static_cast<double>(j), static_cast<double>(counts.At(i, j))});
      }
    }
  }
  return rows;
}

Rows RowsOf(const DifferenceCounts& counts) {
  Rows rows;
  for (std::size_t i = 1; i < counts.n.size(); ++i) {
    if (counts.n[i] > 0) {
      // Printed with three decimals.
      rows.push_back({static_cast<double>(i), std::round(counts.s[i] * 1000) / 1000,
                      static_cast<double>(counts.n[i])});
    }
  }
  return rows;
}

TEST(DigitalPhantom, AllPrintedMatrices) {
  CONSILIUM_NEEDS_SHARED(kMatrices);
  const auto phantom = MakeDigitalPhantom();
  const LevelBox box(phantom.mask, LevelsOf(phantom));
  const Json printed = Json::parse(ReadShared(kMatrices));
  int compared = 0;
  for (const Json& one : printed.at("matrices")) {
    const std::string matrix = one.at("matrix");
    const int z = one.at("slice").is_null() ? -1 : one.at("slice").get<int>() - 1;
    std::vector<Direction> directions;
    if (!one.at("direction_xyz").is_null()) {
      const auto d = one.at("direction_xyz").get<std::vector<int>>();
      directions.push_back({d[0], d[1], d[2]});
    } else {
      const auto all = z < 0 ? Directions3d() : Directions2d();
      directions.assign(all.begin(), all.end());
    }
    Rows ours;
    if (matrix == "GLCM") {
      CooccurrenceCounts counts(box, directions[0], 1, z);
      for (std::size_t d = 1; d < directions.size(); ++d)
        counts.Add(CooccurrenceCounts(box, directions[d], 1, z));
      ours = RowsOf(counts);
    } else if (matrix == "GLRLM") {
      SizeCounts counts = RunCounts(box, directions[0], z);
      for (std::size_t d = 1; d < directions.size(); ++d)
        counts.Add(RunCounts(box, directions[d], z));
      ours = RowsOf(counts);
    } else if (matrix == "GLSZM" || matrix == "GLDZM") {
      const ZoneCounts zones = CountZones(box, z, BorderDistances(box, phantom.mask, z));
      ours = RowsOf(matrix == "GLSZM" ? zones.by_size : zones.by_distance);
    } else if (matrix == "NGTDM") {
      ours = RowsOf(CountDifferences(box, 1, z));
    } else {
      ours = RowsOf(DependenceCounts(box, 1, 0, z));
    }
    Rows theirs = one.at("rows").get<Rows>();
    std::sort(theirs.begin(), theirs.end());
    if (matrix == "NGTDM") {
      for (auto& row : theirs) row[1] = std::round(row[1] * 1000) / 1000;
    }
    EXPECT_EQ(ours, theirs) << one.dump();
    ++compared;
  }
  EXPECT_EQ(compared, 88);
}

double ToThreeDigits(double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  return std::stod(fmt::format("{:.3g}", x));
}

// Every value of ours by "family code aggregation".
std::map<std::string, double> OurValues() {
  const auto phantom = MakeDigitalPhantom();
  const GreyLevels levels = LevelsOf(phantom);
  const LevelBox box(phantom.mask, levels);
  std::map<std::string, double> values;
  const auto put = [&](const std::string& family, const std::string& aggregation) {
    return [&values, family, aggregation](const FeatureName& name, const double& value) {
      values[fmt::format("{} {} {}", family, name.ibsi, aggregation)] = value;
    };
  };
  const auto shape = Morphology(phantom.image, phantom.mask, phantom.mask);
  EXPECT_TRUE(shape.has_value());
  MorphologyFeatures::Visit(*shape, put("morphology", ""));
  LocalIntensityFeatures::Visit(LocalIntensity(phantom.image, phantom.mask),
                                put("local_intensity", ""));
  IntensityFeatures::Visit(IntensityStatistics(phantom.inside), put("intensity_statistics", ""));
  HistogramFeatures::Visit(IntensityHistogram(levels), put("intensity_histogram", ""));
  VolumeHistogramFeatures::Visit(IntensityVolumeHistogram(levels.levels, levels.count, 1, 1),
                                 put("intensity_volume_histogram", ""));
  const std::map<std::string, Aggregation> of_directions = {
      {"2D:avg", Aggregation::k2dAverage},
      {"2D:mrg", Aggregation::k2dMerge},
      {"2.5D:dmrg", Aggregation::k25dDirectionMerge},
      {"2.5D:vmrg", Aggregation::k25dMerge},
      {"3D:avg", Aggregation::k3dAverage},
      {"3D:mrg", Aggregation::k3dMerge}};
  for (const auto& [name, how] : of_directions) {
    GlcmFeatures::Visit(Glcm(box, how), put("glcm", name));
    VisitAs(Glrlm(box, how), GlrlmNames(), put("glrlm", name));
  }
  const std::map<std::string, Aggregation> others = {{"2D", Aggregation::k2dAverage},
                                                     {"2.5D", Aggregation::k25dMerge},
                                                     {"3D", Aggregation::k3dMerge}};
  for (const auto& [name, how] : others) {
    const ZoneFeatures zones = Glszm(box, phantom.mask, how);
    VisitAs(zones.glszm, GlszmNames(), put("glszm", name));
    VisitAs(zones.gldzm, GldzmNames(), put("gldzm", name));
    VisitAs(Ngldm(box, how), NgldmNames(), put("ngldm", name));
    NgtdmFeatures::Visit(Ngtdm(box, how), put("ngtdm", name));
  }
  return values;
}

TEST(DigitalPhantom, EveryValue) {
  CONSILIUM_NEEDS_SHARED(kValues);
  const auto table = ReadSharedCsv(kValues);
  const auto ours = OurValues();
  const auto cell = [&](std::size_t row, const std::string& column) {
    return std::string(table.Cell(row, *table.Column(column)));
  };
  int compared = 0;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    const std::string family = cell(row, "family");
    if (cell(row, "config") != "digital" || cell(row, "value").empty()) continue;
    const std::string parameter = cell(row, "ibsi_code_param");
    const std::string key =
        fmt::format("{} {}{} {}", family, cell(row, "ibsi_code"),
                    parameter.empty() ? "" : ":" + parameter, cell(row, "aggregation"));
    const auto found = ours.find(key);
    ASSERT_NE(found, ours.end()) << key << " is missing";
    const double expected = Number(table, row, "value");
    EXPECT_LE(std::abs(ToThreeDigits(found->second) - expected),
              Number(table, row, "tolerance") + 1e-9 * std::abs(expected))
        << key << " " << cell(row, "feature_name") << ": " << found->second << ", expected "
        << expected;
    ++compared;
  }
  EXPECT_EQ(compared, 482);
}

}  // namespace
}  // namespace consilium::engine
