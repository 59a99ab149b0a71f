#include "site_agent/suppression.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include "base/rng.h"

namespace consilium::site_agent {
namespace {

using federation::Block;
using federation::Release;

Block Make(std::string name, Eigen::Index cols, std::vector<double> row_by_row) {
  const auto rows = cols == 0 ? 0 : static_cast<Eigen::Index>(row_by_row.size()) / cols;
  Eigen::MatrixXd values(rows, cols);
  for (Eigen::Index r = 0; r < rows; ++r) {
    for (Eigen::Index c = 0; c < cols; ++c)
      values(r, c) = row_by_row[static_cast<std::size_t>(r * cols + c)];
  }
  return {std::move(name), std::move(values)};
}

SuppressedRelease Safe(const ClassCounts& counts, std::vector<Block> blocks, int min_cell = 5) {
  auto result = Suppress(StandardReleases(), min_cell, counts, Release{std::move(blocks)});
  EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().message);
  return result ? std::move(*result) : SuppressedRelease{};
}

const Eigen::MatrixXd& Values(const SuppressedRelease& safe, std::string_view name) {
  const auto* values = federation::Find(safe.release.blocks, name);
  EXPECT_NE(values, nullptr) << name;
  static const Eigen::MatrixXd kNone;
  return values == nullptr ? kNone : *values;
}

TEST(Suppression, StandardRulesAreSound) { EXPECT_TRUE(Validate(StandardReleases()).has_value()); }

TEST(Suppression, FourEventsGiveNoAucNoCountsAndNoCurve) {
  const std::vector<Block> blocks = {
      Make("n", 1, {40}), Make("counts", 2, {4, 36}), Make("auc", 5, {4, 36, 100, .1, .1}),
      Make("roc", 2, {0, 0, 10, 2, 36, 4}), Make("net_benefit_counts", 3, {.1, 36, 4, .5, 10, 2})};
  const SuppressedRelease safe = Safe({4, 36}, blocks);
  EXPECT_EQ(Values(safe, "n")(0, 0), 40);
  EXPECT_TRUE(Values(safe, "counts").array().isNaN().all());
  EXPECT_TRUE(Values(safe, "auc").array().isNaN().all());
  EXPECT_EQ(Values(safe, "roc").rows(), 0);
  EXPECT_EQ(Values(safe, "net_benefit_counts")(1, 0), .5);  // the grid is public
  EXPECT_TRUE(Values(safe, "net_benefit_counts").rightCols(2).array().isNaN().all());
  const Eigen::MatrixXd& told = Values(safe, kSuppressedBlock);
  ASSERT_EQ(told.rows(), 4);
  EXPECT_EQ(told(0, 0), 1);
  EXPECT_EQ(told(0, 1), static_cast<double>(SuppressionReason::kClassTooSmall));
  EXPECT_EQ(Explain(SuppressionReason::kClassTooSmall, 5),
            "fewer than 5 events or fewer than 5 non-events");
}

TEST(Suppression, FiveOfEachPassUntouched) {
  const SuppressedRelease safe =
      Safe({5, 5}, {Make("n", 1, {10}), Make("counts", 2, {5, 5}), Make("auc", 1, {.7})});
  EXPECT_TRUE(safe.withheld.empty());
  EXPECT_EQ(safe.release.blocks.size(), 3u);
  EXPECT_EQ(Values(safe, "auc")(0, 0), .7);
}

TEST(Suppression, ReleasesOfFewRowsHideTheirNumberToo) {
  EXPECT_TRUE(std::isnan(Values(Safe({2, 2}, {Make("n", 1, {4})}), "n")(0, 0)));
  EXPECT_EQ(Values(Safe({0, 0}, {Make("n", 1, {0})}), "n")(0, 0), 0);
}

TEST(Suppression, AFlowHidesASecondCellSoThatTheFirstDoesNotFollow) {
  // found, duplicates, outcome missing, consent withdrawn, used
  const SuppressedRelease safe = Safe({50, 50}, {Make("flow", 1, {120, 2, 11, 7, 100})});
  const Eigen::MatrixXd& flow = Values(safe, "flow");
  EXPECT_EQ(flow(0, 0), 120);
  EXPECT_TRUE(std::isnan(flow(1, 0)));  // too small
  EXPECT_EQ(flow(2, 0), 11);
  EXPECT_TRUE(
      std::isnan(flow(3, 0)));  // the smallest other one: 120 - 11 - 100 = 9 now tells a sum
  EXPECT_EQ(flow(4, 0), 100);
  // With no other reason the number found goes instead.
  const SuppressedRelease alone = Safe({50, 50}, {Make("flow", 1, {102, 2, 0, 0, 100})});
  EXPECT_TRUE(std::isnan(Values(alone, "flow")(0, 0)));
  EXPECT_TRUE(std::isnan(Values(alone, "flow")(1, 0)));
  EXPECT_EQ(Values(alone, "flow")(4, 0), 100);
}

TEST(Suppression, ASmallSubgroupTakesItsComplementAlong) {
  // variable, level, events, non-events, O/E
  const SuppressedRelease safe = Safe({30, 70}, {Make("subgroups", 5, {0, 0, 27, 66, 1.1,  //
                                                                       0, 1, 3,  4,  .4,   //
                                                                       1, 0, 10, 30, .9,   //
                                                                       1, 1, 20, 40, 1.0})});
  const Eigen::MatrixXd& groups = Values(safe, "subgroups");
  EXPECT_TRUE(groups.block(0, 2, 2, 3).array().isNaN().all());
  EXPECT_FALSE(groups.block(2, 0, 2, 5).array().isNaN().any());
  EXPECT_EQ(groups(1, 1), 1);  // labels stay
}

TEST(Suppression, AFewRowsWithoutALevelAreNotToldByTheDifference) {
  const SuppressedRelease safe =
      Safe({32, 70}, {Make("subgroups", 5, {0, 0, 20, 40, 1, 0, 1, 10, 30, 1})});
  EXPECT_TRUE(Values(safe, "subgroups")(1, 2) !=
              Values(safe, "subgroups")(1, 2));  // 2 rows lack a level
}

TEST(Suppression, NetBenefitRowsFallWithTheirCounts) {
  const SuppressedRelease safe =
      Safe({20, 30}, {Make("net_benefit_counts", 3, {.1, 28, 20, .2, 15, 12, .3, 13, 12, .9, 1, 2}),
                      Make("net_benefit", 2, {.3, .4, .1, .2, .05, .15, .01, .02})});
  const Eigen::MatrixXd& rows = Values(safe, "net_benefit");
  EXPECT_TRUE(std::isnan(rows(0, 0)));  // 2 rows below the threshold
  EXPECT_FALSE(std::isnan(rows(1, 0)));
  EXPECT_TRUE(std::isnan(rows(2, 1)));  // 2 rows between the thresholds
  EXPECT_TRUE(std::isnan(rows(3, 0)));  // 3 rows above
}

TEST(Suppression, CalibrationGroupsAreAddedToTheirNeighbours) {
  const SuppressedRelease safe = Safe(
      {12, 18}, {Make("calibration_groups", 3, {6, 1, 1.5, 3, 1, 1, 9, 4, 4, 8, 4, 4, 4, 2, 3})});
  const Eigen::MatrixXd& groups = Values(safe, "calibration_groups");
  ASSERT_EQ(groups.rows(), 3);
  EXPECT_EQ(groups.col(0).sum(), 30);
  EXPECT_EQ(groups.col(1).sum(), 12);
  EXPECT_DOUBLE_EQ(groups.col(2).sum(), 13.5);
  EXPECT_GE(groups.col(0).minCoeff(), 5);
}

TEST(Suppression, WhatIsNotListedOrContradictsItselfIsAnError) {
  const auto code = [](const ClassCounts& counts, Block block) {
    const auto result = Suppress(StandardReleases(), 5, counts, Release{{std::move(block)}});
    return result ? std::string("accepted") : std::string(Name(result.error().code));
  };
  EXPECT_EQ(code({20, 20}, Make("scores", 1, {.1, .2})), "NOT_FOUND");
  EXPECT_EQ(code({20, 20}, Make(kSuppressedBlock, 1, {1})), "NOT_FOUND");
  EXPECT_EQ(code({20, 20}, Make("n", 1, {41})), "INVALID_ARGUMENT");
  EXPECT_EQ(code({20, 20}, Make("counts", 2, {19, 21})), "INVALID_ARGUMENT");
  EXPECT_EQ(code({20, 20}, Make("auc", 1, std::vector<double>(40, .5))),
            "INVALID_ARGUMENT");  // a column of scores
  EXPECT_EQ(code({20, 20}, Make("auc", 1, {HUGE_VAL})), "INVALID_ARGUMENT");
  EXPECT_EQ(code({20, 20}, Make("roc", 2, {10, 21})), "INVALID_ARGUMENT");
  EXPECT_EQ(code({20, 20}, Make("roc", 2, {10.5, 2})), "INVALID_ARGUMENT");
  EXPECT_EQ(code({20, 20}, Make("roc", 2, {10, 12, 9, 12})), "accepted");  // a row apart: merged
  EXPECT_EQ(code({20, 20}, Make("roc", 2, {10, 12, 2, 13})),
            "INVALID_ARGUMENT");  // events fall as rows rise
  EXPECT_EQ(code({20, 20}, Make("calibration_groups", 3, {20, 10, 9})), "INVALID_ARGUMENT");
  EXPECT_EQ(code({20, 20}, Make("flow", 1, {50, 5, 40})), "INVALID_ARGUMENT");
  EXPECT_EQ(code({20, 20}, Make("net_benefit", 2, {1, 2})),
            "INVALID_ARGUMENT");  // without its counts
  EXPECT_EQ(code({20, 20}, Make("subgroups", 4, {0, 0, 21, 20})), "INVALID_ARGUMENT");
}

TEST(Suppression, ANotANumberCarriesNoHiddenBits) {
  Block block = Make("auc", 1, {std::bit_cast<double>(std::uint64_t{0x7FF8DEADBEEF1234})});
  const SuppressedRelease safe = Safe({20, 20}, {block});
  EXPECT_EQ(std::bit_cast<std::uint64_t>(Values(safe, "auc")(0, 0)),
            std::bit_cast<std::uint64_t>(std::numeric_limits<double>::quiet_NaN()));
}

// Whatever the scores, thresholds, groups and points: any two cuts that leave, of any blocks, have
// 0 or at least min_cell rows between them.
TEST(Suppression, NoTwoReleasedCutsIsolateAFewRows) {
  EXPECT_TRUE(rc::check("cuts", [](std::uint32_t seed) {
    Rng rng(seed, "cuts");
    const int min_cell = 2 + static_cast<int>(rng.Below(6));
    const std::size_t n = 30 + rng.Below(100);
    std::vector<std::pair<double, int>> rows;  // risk, event
    for (std::size_t i = 0; i < n; ++i) {
      rows.emplace_back(std::floor(rng.Uniform() * 40) / 40, rng.Chance(0.4) ? 1 : 0);
    }
    ClassCounts counts;
    for (const auto& [risk, event] : rows) (event == 1 ? counts.events : counts.nonevents)++;
    RC_PRE(counts.events >= min_cell && counts.nonevents >= min_cell);
    const auto above = [&](double threshold) {
      std::pair<double, double> result{0, 0};
      for (const auto& [risk, event] : rows) {
        if (risk >= threshold) (event == 1 ? result.second : result.first) += 1;
      }
      return result;
    };
    std::vector<double> roc, grid, groups;
    for (int t = 41; t >= 0; --t) {
      const auto [fp, tp] = above(t / 40.0);
      const bool moved = roc.empty() || roc[roc.size() - 2] != fp || roc.back() != tp;
      if (moved) roc.insert(roc.end(), {fp, tp});
    }
    for (int t = 1; t < 20; ++t) {
      const auto [fp, tp] = above(t / 20.0);
      grid.insert(grid.end(), {t / 20.0, fp, tp});
    }
    for (int g = 0; g < 8; ++g) {
      const auto [fp0, tp0] = above(g / 8.0);
      const auto [fp1, tp1] = g == 7 ? std::pair{0.0, 0.0} : above((g + 1) / 8.0);
      groups.insert(groups.end(), {fp0 + tp0 - fp1 - tp1, tp0 - tp1, 1});
    }
    const auto result = Suppress(StandardReleases(), min_cell, counts,
                                 Release{{Make("roc", 2, roc), Make("net_benefit_counts", 3, grid),
                                          Make("calibration_groups", 3, groups)}});
    RC_ASSERT(result.has_value());
    std::set<std::int64_t> cuts = {0, counts.rows()};
    const auto& points = *federation::Find(result->release.blocks, "roc");
    for (Eigen::Index r = 0; r < points.rows(); ++r) cuts.insert(std::llround(points.row(r).sum()));
    const auto& kept = *federation::Find(result->release.blocks, "net_benefit_counts");
    for (Eigen::Index r = 0; r < kept.rows(); ++r) {
      if (!std::isnan(kept(r, 1))) cuts.insert(std::llround(kept(r, 1) + kept(r, 2)));
    }
    const auto& merged = *federation::Find(result->release.blocks, "calibration_groups");
    double below = 0;
    for (Eigen::Index r = 0; r < merged.rows(); ++r) {
      below += merged(r, 0);
      cuts.insert(counts.rows() - std::llround(below));
    }
    RC_ASSERT(std::llround(below) == counts.rows());
    for (auto i = cuts.begin(); std::next(i) != cuts.end(); ++i)
      RC_ASSERT(*std::next(i) - *i >= min_cell);
  }));
}

}  // namespace
}  // namespace consilium::site_agent
