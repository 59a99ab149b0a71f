// The digital phantom against the IBSI's matrices.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/glcm.h"
#include "engine/ngtdm.h"
#include "engine/resegment.h"
#include "engine/runs_and_zones.h"
#include "extraction/compliance/reference_set.h"
#include "tests/support/digital_phantom.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {
namespace {

using Json = nlohmann::json;
using testing::MakeDigitalPhantom;
using testing_support::ReadShared;

const std::string kMatrices = "reference/radiomics/ibsi1_digital_phantom_matrices.json";

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
    rows.push_back(
        {static_cast<double>(entry.level), static_cast<double>(entry.number), entry.count});
  }
  return rows;
}

Rows RowsOf(const CooccurrenceCounts& counts) {
  Rows rows;
  const std::vector<int>& levels = counts.levels();
  for (std::size_t a = 0; a < levels.size(); ++a) {
    for (std::size_t b = 0; b < levels.size(); ++b) {
      if (counts.At(a, b) > 0) {
        rows.push_back({static_cast<double>(levels[a]), static_cast<double>(levels[b]),
                        static_cast<double>(counts.At(a, b))});
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
      ours = RowsOf(CountDifferences(box, NeighbourSteps(box, 1, z >= 0), z));
    } else {
      ours = RowsOf(DependenceCounts(box, NeighbourSteps(box, 1, z >= 0), 0, z));
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

// Values are taken of the files (ibsi1_values_test.cpp), matrices of the phantom in code.
TEST(DigitalPhantom, IsTheOneInTheFiles) {
  const std::string folder = "reference/radiomics/data/ibsi1_digital_phantom";
  CONSILIUM_NEEDS_SHARED(folder);
  const auto file = compliance::ReadReferenceCase(testing_support::Shared(folder + "/image.nii.gz"),
                                                  testing_support::Shared(folder + "/mask.nii.gz"));
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const auto phantom = MakeDigitalPhantom();
  EXPECT_EQ(file->image.grid, phantom.image.grid);
  EXPECT_EQ(file->mask.inside, phantom.mask.inside);
  EXPECT_EQ(IntensitiesOf(file->image, file->mask), phantom.inside);
}

}  // namespace
}  // namespace consilium::engine
