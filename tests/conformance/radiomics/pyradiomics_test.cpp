// Original and filtered images of 53 cases against PyRadiomics' values.
#include <gtest/gtest.h>

#include "tests/conformance/radiomics/reference_part.h"

namespace consilium::compliance {
namespace {

class PyradiomicsCase : public ::testing::TestWithParam<std::string> {};

TEST_P(PyradiomicsCase, EveryFeatureOfEveryImageHolds) {
  const ReferenceSet set = PyradiomicsCurrentCode(SharedFolders());
  const Part& part = PartOf(set, GetParam());
  CONSILIUM_NEEDS_PART(part);
  const auto rows = HeldRows(part);
  // The original, and five Laplacians of Gaussians and eight sub-bands without shape.
  EXPECT_EQ(CountOf(rows, Verdict::kHolds), 107 + (5 + 8) * 93);
}

INSTANTIATE_TEST_SUITE_P(Cases, PyradiomicsCase,
                         ::testing::ValuesIn(PartNames(PyradiomicsCurrentCode(SharedFolders()))),
                         [](const auto& test) { return test.param; });

TEST(PyradiomicsCases, AreFiftyThree) {
  EXPECT_EQ(PyradiomicsCurrentCode(SharedFolders()).parts.size(), 53U);
}

}  // namespace
}  // namespace consilium::compliance
