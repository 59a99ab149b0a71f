// The digital phantom and the CT of the IBSI-1, configurations A to E, against the reference
// values.
#include <gtest/gtest.h>

#include "tests/conformance/radiomics/reference_part.h"

namespace consilium::compliance {
namespace {

struct Configuration {
  std::string name;
  int values = 0;  // with consensus, of the image and its masks after every step among them
};

class Ibsi1Values : public ::testing::TestWithParam<Configuration> {};

TEST_P(Ibsi1Values, EveryOneWithConsensusHolds) {
  const ReferenceSet set = Ibsi1(SharedFolders());
  const Part& part = PartOf(set, GetParam().name);
  CONSILIUM_NEEDS_PART(part);
  const auto rows = HeldRows(part);
  EXPECT_EQ(CountOf(rows, Verdict::kHolds), GetParam().values);
  EXPECT_EQ(CountOf(rows, Verdict::kNotCompared), 5);
}

INSTANTIATE_TEST_SUITE_P(Configurations, Ibsi1Values,
                         ::testing::Values(Configuration{"digital", 482}, Configuration{"A", 406},
                                           Configuration{"B", 406}, Configuration{"C", 270},
                                           Configuration{"D", 270}, Configuration{"E", 270}),
                         [](const auto& test) { return test.param.name; });

TEST(Ibsi1, TheConfigurationsAboveAreAllOfIt) {
  EXPECT_EQ(PartNames(Ibsi1(SharedFolders())),
            (std::vector<std::string>{"digital", "A", "B", "C", "D", "E"}));
}

}  // namespace
}  // namespace consilium::compliance
