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
  // The original, and five Laplacians of Gaussians and eight sub-bands without shape. Wavelets of
  // those whose voxels are no whole numbers are not compared.
  const int wavelets = 8 * 93;
  const bool whole = GetParam().starts_with("br");
  EXPECT_EQ(CountOf(rows, Verdict::kHolds), 107 + 5 * 93 + (whole ? wavelets : 0));
  EXPECT_EQ(CountOf(rows, Verdict::kNotCompared), whole ? 0 : wavelets);
}

INSTANTIATE_TEST_SUITE_P(Cases, PyradiomicsCase,
                         ::testing::ValuesIn(PartNames(PyradiomicsCurrentCode(SharedFolders()))),
                         [](const auto& test) { return test.param; });

TEST(PyradiomicsCases, AreFiftyThree) {
  EXPECT_EQ(PyradiomicsCurrentCode(SharedFolders()).parts.size(), 53U);
}

}  // namespace
}  // namespace consilium::compliance
