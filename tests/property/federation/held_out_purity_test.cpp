// A held-out center takes part in nothing before it is scored: whatever its rows hold, the model
// that is tried on it has the same bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

#include "tests/support/small_study.h"

namespace consilium {
namespace {

using testing::SmallHospital;
using testing::SmallStudyOptions;

std::string Bits(double value) {
  return fmt::format("{:016x} ", std::bit_cast<std::uint64_t>(value));
}

// Every bit of what was learned without `center`.
std::string ModelOf(const study::Results& results, const std::string& center) {
  std::string text;
  for (const auto& one : results.coefficients) {
    if (one.key.held_out == center)
      text += fmt::format("{} {} ", one.key.harmonization, one.term) + Bits(one.lambda) +
              Bits(one.coefficient) + "\n";
  }
  for (const auto& curve : results.cv) {
    if (curve.key.held_out != center) continue;
    for (const auto& point : curve.points)
      text += Bits(point.lambda) + Bits(point.cvm) + Bits(point.cvsd) +
              fmt::format("{}\n", point.nonzero);
    text += Bits(curve.lambda_min) + Bits(curve.lambda_1se) + "\n";
  }
  for (const auto& one : results.dropped_features) {
    if (one.key.held_out == center)
      text += fmt::format("{} {} {}\n", one.key.harmonization, one.feature, one.reason);
  }
  for (const auto& row : results.rows) {
    if (row.key.held_out != center) continue;
    text += Bits(row.internal_auc) + Bits(row.internal_auc_ci.lower) +
            Bits(row.internal_auc_ci.upper) + Bits(row.internal_auc_pooled) +
            Bits(row.internal_auc_pooled_bound) + Bits(row.lambda) + Bits(row.kkt_residual) +
            fmt::format("{} {}\n", row.nonzero, row.path_length);
  }
  return text;
}

double ExternalAuc(const study::Results& results, const std::string& center) {
  for (const auto& row : results.rows) {
    if (row.key.held_out == center) return row.external_auc;
  }
  return -1;
}

SmallHospital& Find(std::vector<SmallHospital>& hospitals, const std::string& name) {
  return *std::find_if(hospitals.begin(), hospitals.end(),
                       [&](const SmallHospital& one) { return one.name == name; });
}

class HeldOutPurity : public ::testing::TestWithParam<bool> {
 protected:
  SmallStudyOptions Options() const {
    SmallStudyOptions options;
    options.leave_one_center_out = GetParam();
    return options;
  }
  study::Results RunWith(const std::vector<SmallHospital>& hospitals) const {
    return testing::MustRun(testing::MustAssemble(Options(), hospitals)).results;
  }
};

TEST_P(HeldOutPurity, TheModelHasTheSameBytesWhenTheHeldOutCentersRowsArePermuted) {
  std::vector<SmallHospital> hospitals = testing::SmallHospitals();
  const study::Results before = RunWith(hospitals);
  Rng rng(3, "permuted rows");
  rng.Shuffle(Find(hospitals, "west").cases);
  const study::Results after = RunWith(hospitals);
  ASSERT_FALSE(ModelOf(before, "west").empty());
  EXPECT_EQ(ModelOf(before, "west"), ModelOf(after, "west"));
  EXPECT_EQ(ExternalAuc(before, "west"), ExternalAuc(after, "west"));
}

TEST_P(HeldOutPurity, TheModelHasTheSameBytesWhenTheHeldOutCentersRowsAreOthers) {
  std::vector<SmallHospital> hospitals = testing::SmallHospitals();
  const study::Results before = RunWith(hospitals);
  ASSERT_FALSE(ModelOf(before, "west").empty());
  // Other patients, another number of them, another scanner.
  Find(hospitals, "west").cases = testing::DrawCases("west", 41, 5.5, 4711);
  const study::Results other_rows = RunWith(hospitals);
  EXPECT_EQ(ModelOf(before, "west"), ModelOf(other_rows, "west"));
  EXPECT_NE(ExternalAuc(before, "west"), ExternalAuc(other_rows, "west"));
  // The other class throughout, and covariates far outside.
  for (auto& one : Find(hospitals, "west").cases) {
    one.outcome = 1 - one.outcome;
    one.age += 25;
    one.smoker = 1 - one.smoker;
  }
  const study::Results other_outcome = RunWith(hospitals);
  EXPECT_EQ(ModelOf(before, "west"), ModelOf(other_outcome, "west"));
  EXPECT_NE(ExternalAuc(other_rows, "west"), ExternalAuc(other_outcome, "west"));
}

TEST_P(HeldOutPurity, ATrainingCentersRowsDoChangeTheModel) {
  std::vector<SmallHospital> hospitals = testing::SmallHospitals();
  const std::string before = ModelOf(RunWith(hospitals), "west");
  Find(hospitals, "east").cases[5].features[2] += 0.5;
  EXPECT_NE(before, ModelOf(RunWith(hospitals), "west"));
}

INSTANTIATE_TEST_SUITE_P(BothDesigns, HeldOutPurity, ::testing::Bool(), [](const auto& one) {
  return one.param ? std::string("LeaveOneCenterOut") : std::string("NamedHeldOut");
});

}  // namespace
}  // namespace consilium
