// PyRadiomics' own regression baseline: three cases, nine variants of settings, five matrices.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "engine/glcm.h"
#include "engine/ngtdm.h"
#include "engine/resegment.h"
#include "engine/runs_and_zones.h"
#include "tests/conformance/radiomics/reference_part.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {
namespace {

using testing_support::Number;
using testing_support::ReadSharedCsv;
using testing_support::Shared;

const std::string kFolder = "reference/radiomics/";
const std::string kMatrices = kFolder + "pyradiomics_matrices.csv";

using compliance::ReferenceCase;

TEST(PyradiomicsBaseline, EveryValueOfEveryVariantHolds) {
  const compliance::ReferenceSet set = compliance::PyradiomicsBaseline(compliance::SharedFolders());
  std::ptrdiff_t held = 0;
  std::vector<std::string> explained;
  for (const compliance::Part& part : set.parts) {
    SCOPED_TRACE(part.name);
    CONSILIUM_NEEDS_PART(part);
    const auto rows = HeldRows(part);
    held += CountOf(rows, compliance::Verdict::kHolds);
    for (const compliance::Comparison& row : rows) {
      if (row.verdict == compliance::Verdict::kExplained)
        explained.push_back(row.configuration + " " + row.feature);
    }
  }
  // Four of brain1's are older than PyRadiomics' mesh is: ours are what its code gives now.
  std::sort(explained.begin(), explained.end());
  EXPECT_EQ(explained, (std::vector<std::string>{
                           "brain1, default MeshVolume", "brain1, default Sphericity",
                           "brain1, default SurfaceArea", "brain1, default SurfaceVolumeRatio"}));
  EXPECT_EQ(held, 2022 - 4);
}

// Rows of a matrix: grey level, second index, direction in the order z y x, value.
using Matrix = std::map<std::string, double>;
std::string Key(const std::string& matrix, int level, int second, const std::string& angle = "") {
  return fmt::format("{} {} {} {}", matrix, level, second, angle);
}

Matrix MatricesOf(const ReferenceCase& one) {
  Discretisation how;
  how.pyradiomics_edges = true;
  const auto levels = Discretise(IntensitiesOf(one.image, one.mask), how);
  EXPECT_TRUE(levels.has_value());
  const LevelBox box(one.mask, *levels);
  Matrix all;
  const auto put_sizes = [&](const std::string& matrix, const SizeCounts& counts,
                             const std::string& angle) {
    for (const auto& entry : counts.entries()) {
      all[Key(matrix, static_cast<int>(entry.level), static_cast<int>(entry.number), angle)] =
          entry.count;
    }
  };
  for (const Direction& d : Directions3d()) {
    const std::string angle = fmt::format("{} {} {}", d.z, d.y, d.x);
    const CooccurrenceCounts pairs(box, d, 1);
    const std::vector<int>& there = pairs.levels();
    for (std::size_t a = 0; a < there.size(); ++a) {
      for (std::size_t b = 0; b < there.size(); ++b) {
        if (pairs.At(a, b) == 0) continue;
        all[Key("glcm", there[a], there[b], angle)] =
            static_cast<double>(pairs.At(a, b)) / static_cast<double>(pairs.total());
      }
    }
    put_sizes("glrlm", RunCounts(box, d), angle);
  }
  const auto steps = StepsBothWays(box, Directions3d());
  put_sizes("glszm", CountZones(box, -1, {}).by_size, "");
  put_sizes("gldm", DependenceCounts(box, steps, 0), "");
  const DifferenceCounts differences = CountDifferences(box, steps);
  for (std::size_t i = 1; i < differences.n.size(); ++i) {
    const int level = static_cast<int>(i);
    if (differences.n[i] == 0) continue;
    all[fmt::format("ngtdm {} n_i ", level)] = static_cast<double>(differences.n[i]);
    if (differences.s[i] > 0) all[fmt::format("ngtdm {} s_i ", level)] = differences.s[i];
    all[fmt::format("ngtdm {} i ", level)] = level;
  }
  return all;
}

TEST(PyradiomicsBaseline, EveryElementOfEveryMatrix) {
  CONSILIUM_NEEDS_SHARED(kMatrices);
  const CsvTable table = ReadSharedCsv(kMatrices);
  std::map<std::string, Matrix> expected;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    expected[std::string(table.Cell(row, 0))]
            [fmt::format("{} {} {} {}", table.Cell(row, 1), table.Cell(row, 2), table.Cell(row, 3),
                         table.Cell(row, 4))] = Number(table, row, "value");
  }
  ASSERT_EQ(expected.size(), 3U);
  for (const auto& [name, matrix] : expected) {
    SCOPED_TRACE(name);
    const std::string files = Shared(kFolder + "data/pyradiomics/" + name);
    const auto one = compliance::ReadReferenceCase(files + "_image.nrrd", files + "_label.nrrd");
    ASSERT_TRUE(one.has_value()) << one.error().message;
    const Matrix ours = MatricesOf(*one);
    EXPECT_EQ(ours.size(), matrix.size());
    for (const auto& [key, value] : matrix) {
      const auto found = ours.find(key);
      if (found == ours.end()) {
        ADD_FAILURE() << "no element " << key;
        continue;
      }
      EXPECT_NEAR(found->second, value, 1e-9 * value) << key;
    }
  }
}

}  // namespace
}  // namespace consilium::engine
