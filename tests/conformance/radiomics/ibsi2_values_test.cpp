// The CT of the IBSI, filtered, configurations 1 to 9, A and B, against the reference values.
#include <gtest/gtest.h>

#include <numeric>

#include "tests/conformance/radiomics/reference_part.h"

namespace consilium::compliance {
namespace {

class Ibsi2Values : public ::testing::TestWithParam<std::string> {};

TEST_P(Ibsi2Values, EveryStatisticOfEveryFilterHolds) {
  const ReferenceSet set = Ibsi2(SharedFolders());
  const Part& part = PartOf(set, GetParam());
  CONSILIUM_NEEDS_PART(part);
  const auto rows = HeldRows(part);
  const int not_compared = GetParam() == "A" ? 0 : 1;  // 8.B's quartile coefficient
  EXPECT_EQ(CountOf(rows, Verdict::kNotCompared), not_compared);
  EXPECT_EQ(CountOf(rows, Verdict::kHolds), 9 * 18 - not_compared);
}

TEST_P(Ibsi2Values, TheRegionHasTheVoxelsOfTheReference) {
  const ReferenceSet set = Ibsi2(SharedFolders());
  const Part& part = PartOf(set, GetParam());
  CONSILIUM_NEEDS_PART(part);
  auto ct = ReadReferenceCase(part.files[1], part.files[2]);
  ASSERT_TRUE(ct.has_value()) << ct.error().message;
  const auto region = Ibsi2Region(std::move(*ct), GetParam().front());
  ASSERT_TRUE(region.has_value()) << region.error().message;
  EXPECT_EQ(std::accumulate(region->intensity.inside.begin(), region->intensity.inside.end(), 0),
            GetParam() == "A" ? 125238 : 357802);
}

INSTANTIATE_TEST_SUITE_P(Parts, Ibsi2Values, ::testing::ValuesIn(PartNames(Ibsi2(SharedFolders()))),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace consilium::compliance
