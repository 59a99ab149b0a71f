// The digital phantoms of the IBSI-2, filtered, against the 33 reference response maps.
#include <gtest/gtest.h>

#include "tests/conformance/radiomics/reference_part.h"

namespace consilium::compliance {
namespace {

class Ibsi2ResponseMap : public ::testing::TestWithParam<std::string> {};

// Every voxel within a hundredth of the reference map's range.
TEST_P(Ibsi2ResponseMap, EveryVoxelHolds) {
  const ReferenceSet set = Ibsi2ResponseMaps(SharedFolders());
  const Part& part = PartOf(set, GetParam());
  CONSILIUM_NEEDS_PART(part);
  const auto rows = HeldRows(part);
  ASSERT_EQ(CountOf(rows, Verdict::kHolds), 1);
  EXPECT_EQ(rows[0].tolerance, 1);
  EXPECT_EQ(rows[0].cause.empty(), GetParam() != "1_a_3");
  RecordProperty("largest_difference_percent", fmt::format("{:.4f}", rows[0].ours));
  fmt::print("{}: largest difference {:.4f} % of the range\n", GetParam(), rows[0].ours);
}

INSTANTIATE_TEST_SUITE_P(Maps, Ibsi2ResponseMap,
                         ::testing::ValuesIn(PartNames(Ibsi2ResponseMaps(SharedFolders()))),
                         [](const auto& test) { return test.param; });

TEST(Ibsi2ResponseMaps, ThereAreThirtyThree) {
  EXPECT_EQ(Ibsi2ResponseMaps(SharedFolders()).parts.size(), 33U);
}

}  // namespace
}  // namespace consilium::compliance
