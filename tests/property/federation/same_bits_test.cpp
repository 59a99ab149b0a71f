// What may not change a report: order of sites, threads, masks, Eigen's cache sizes; and what may
// change it by rounding only: order of rows, and which training center holds a row.
#include <gtest/gtest.h>

#include <Eigen/Core>
#include <algorithm>

#include "tests/support/small_study.h"

namespace consilium {
namespace {

using testing::SmallFederation;
using testing::SmallHospital;
using testing::SmallRun;
using testing::SmallStudyOptions;

void ExpectSameBytes(const SmallRun& a, const SmallRun& b) {
  ASSERT_FALSE(a.report.empty());
  EXPECT_EQ(a.report, b.report);
  EXPECT_EQ(a.coefficients, b.coefficients);
}

// The largest difference of two runs' coefficients, of which every one must be in both.
double LargestDifference(const study::Results& a, const study::Results& b) {
  EXPECT_EQ(a.coefficients.size(), b.coefficients.size());
  EXPECT_FALSE(a.coefficients.empty());
  if (a.coefficients.size() != b.coefficients.size()) return INFINITY;
  double largest = 0;
  for (std::size_t i = 0; i < a.coefficients.size(); ++i) {
    EXPECT_EQ(a.coefficients[i].key, b.coefficients[i].key);
    EXPECT_EQ(a.coefficients[i].term, b.coefficients[i].term);
    largest =
        std::max(largest, std::fabs(a.coefficients[i].coefficient - b.coefficients[i].coefficient));
  }
  return largest;
}

class SameBits : public ::testing::TestWithParam<bool> {
 protected:
  SmallStudyOptions Options() const {
    SmallStudyOptions options;
    options.leave_one_center_out = GetParam();
    return options;
  }
};

TEST_P(SameBits, WhateverTheOrderOfTheSites) {
  SmallFederation federation = testing::MustAssemble(Options(), testing::SmallHospitals());
  const SmallRun before = testing::MustRun(federation);
  std::vector<std::string>& sites = federation.study.sites;
  std::sort(sites.begin(), sites.end());
  do {
    if (sites.front() != "north" && sites.front() != "west") continue;  // 12 of 24 orders
    if (sites.back() == "south") continue;
    ExpectSameBytes(before, testing::MustRun(federation));
  } while (!GetParam() && std::next_permutation(sites.begin(), sites.end()));
}

TEST_P(SameBits, WhateverTheNumberOfThreads) {
  const SmallFederation federation = testing::MustAssemble(Options(), testing::SmallHospitals());
  const SmallRun one = testing::MustRun(federation, 1);
  for (const int threads : {2, 3, 8}) ExpectSameBytes(one, testing::MustRun(federation, threads));
}

TEST_P(SameBits, WhateverCacheSizesEigenWasToldBefore) {
  const SmallFederation federation = testing::MustAssemble(Options(), testing::SmallHospitals());
  const SmallRun before = testing::MustRun(federation);
  Eigen::setCpuCacheSizes(4 * 1024, 16 * 1024, 64 * 1024);
  ExpectSameBytes(before, testing::MustRun(federation));
  Eigen::setCpuCacheSizes(256 * 1024, 8 * 1024 * 1024, 64 * 1024 * 1024);
  ExpectSameBytes(before, testing::MustRun(federation));
}

// As the console's --no-masks does: after the study is resolved, so that its digest stays.
TEST_P(SameBits, WithMasksAndWithout) {
  SmallStudyOptions options = Options();
  options.public_data = true;
  SmallFederation federation = testing::MustAssemble(options, testing::SmallHospitals());
  const SmallRun masked = testing::MustRun(federation);
  federation.study.privacy.masks = false;
  const SmallRun bare = testing::MustRun(federation);
  ExpectSameBytes(masked, bare);
  ASSERT_FALSE(masked.log.empty());
  EXPECT_NE(masked.log.front(), bare.log.front());  // the header says which of the two it was
}

TEST_P(SameBits, APrivateStudyIsRefusedWithoutMasks) {
  SmallFederation federation = testing::MustAssemble(Options(), testing::SmallHospitals());
  federation.study.privacy.masks = false;
  const auto run = testing::Run(federation);
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().code, ErrorCode::kPermissionDenied) << run.error().message;
  EXPECT_NE(run.error().message.find("site "), std::string::npos) << run.error().message;
}

// A site adds its own rows in their order, so the last bit of a gradient may differ: no promise of
// bytes, but of the optimum, which the KKT tolerance pins.
TEST_P(SameBits, TheOrderOfRowsInATrainingCenterMovesNoCoefficientBeyondRounding) {
  SmallStudyOptions options = Options();
  options.kkt_tolerance = 1e-11;
  std::vector<SmallHospital> hospitals = testing::SmallHospitals();
  const SmallRun before = testing::MustRun(testing::MustAssemble(options, hospitals));
  Rng rng(11, "row order");
  for (SmallHospital& hospital : hospitals) rng.Shuffle(hospital.cases);
  const SmallRun after = testing::MustRun(testing::MustAssemble(options, hospitals));
  const double largest = LargestDifference(before.results, after.results);
  RecordProperty("largest_difference", fmt::format("{}", largest));
  EXPECT_LT(largest, 1e-9);
  for (std::size_t i = 0; i < before.results.rows.size(); ++i) {
    EXPECT_NEAR(before.results.rows[i].external_auc, after.results.rows[i].external_auc, 1e-12);
    EXPECT_NEAR(before.results.rows[i].internal_auc, after.results.rows[i].internal_auc, 1e-9);
  }
}

INSTANTIATE_TEST_SUITE_P(BothDesigns, SameBits, ::testing::Bool(), [](const auto& one) {
  return one.param ? std::string("LeaveOneCenterOut") : std::string("NamedHeldOut");
});

// Without harmonization the federated model is the pooled one, so it does not matter who holds a
// row.
TEST(FederatedEqualsPooled, WhereverATrainingRowStands) {
  SmallStudyOptions options;
  options.combat = false;
  options.fold_column = true;  // a row keeps its fold when it moves
  options.kkt_tolerance = 1e-11;
  const std::vector<SmallHospital> hospitals = testing::SmallHospitals();
  const SmallRun before = testing::MustRun(testing::MustAssemble(options, hospitals));
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    // All rows of the three training centers, dealt out again in unequal parts.
    std::vector<testing::SmallCase> pool;
    for (std::size_t h = 0; h < 3; ++h)
      pool.insert(pool.end(), hospitals[h].cases.begin(), hospitals[h].cases.end());
    Rng rng(seed, "dealt rows");
    rng.Shuffle(pool);
    std::vector<SmallHospital> dealt = hospitals;
    for (std::size_t h = 0; h < 3; ++h) dealt[h].cases.clear();
    for (std::size_t i = 0; i < pool.size(); ++i)
      dealt[i % 7 < 2 ? 0 : i % 7 < 4 ? 1 : 2].cases.push_back(pool[i]);
    const SmallRun after = testing::MustRun(testing::MustAssemble(options, dealt));
    const double largest = LargestDifference(before.results, after.results);
    RecordProperty(fmt::format("largest_difference_{}", seed), fmt::format("{}", largest));
    EXPECT_LT(largest, 1e-8);
    ASSERT_EQ(before.results.cv.size(), after.results.cv.size());
    for (std::size_t c = 0; c < before.results.cv.size(); ++c) {
      ASSERT_EQ(before.results.cv[c].points.size(), after.results.cv[c].points.size());
      for (std::size_t p = 0; p < before.results.cv[c].points.size(); ++p) {
        EXPECT_NEAR(before.results.cv[c].points[p].cvm, after.results.cv[c].points[p].cvm, 1e-8);
      }
    }
    EXPECT_EQ(before.results.rows.front().external_auc, after.results.rows.front().external_auc);
  }
}

}  // namespace
}  // namespace consilium
