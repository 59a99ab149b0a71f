#include "base/agreement.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace consilium {
namespace {

// Six targets, four judges: Shrout & Fleiss 1979, table 2.
const std::vector<double> kJudges = {9, 2, 5, 8, 6,  1, 3, 2, 8, 4, 6, 8,
                                     7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7};

struct Icc {
  IccForm form;
  double value, low, high;
};

TEST(Icc, OfShroutAndFleissIsTheirs) {
  const auto anova = AnovaOf(*SumRepeats(kJudges, 4));
  ASSERT_TRUE(anova.has_value());
  // Their table 3, two decimals.
  EXPECT_NEAR(anova->msr(), 11.24, 0.005);
  EXPECT_NEAR(anova->msw(), 6.26, 0.005);
  EXPECT_NEAR(anova->msc(), 32.49, 0.005);
  EXPECT_NEAR(anova->mse(), 1.02, 0.005);
  // Their table 4 is .17, .29, .71; more digits and the intervals from R's aov and qf.
  for (const Icc& expected :
       {Icc{IccForm::kOneWay, 0.165741768405, -0.132932324875, 0.722560062328},
        Icc{IccForm::kAgreement, 0.289763779528, 0.0187865133747, 0.761084369649},
        Icc{IccForm::kConsistency, 0.714840714841, 0.342464765034, 0.945858259955}}) {
    const Agreement icc = IccOf(*anova, expected.form);
    EXPECT_NEAR(icc.value, expected.value, 1e-11);
    ASSERT_TRUE(icc.interval.has_value());
    EXPECT_NEAR(icc.interval->low, expected.low, 1e-11);
    EXPECT_NEAR(icc.interval->high, expected.high, 1e-11);
  }
}

const std::vector<double> kFirstSite = {10.1, 10.9, 12.2, 12.4, 9.4, 10.6, 14.0, 13.7},
                          kSecondSite = {20.3, 19.1, 23.9, 23.0, 18.2, 18.4};

TEST(Icc, OfTwoSitesAsBlocksIsThatOfALinearModelWithSites) {
  const auto anova =
      AsBlocks(*AnovaOf(*SumRepeats(kFirstSite, 2)), *AnovaOf(*SumRepeats(kSecondSite, 2)));
  ASSERT_TRUE(anova.has_value());
  // R: anova(lm(y ~ site + subject + site:repeat)).
  EXPECT_EQ(anova->subject_df(), 5);
  EXPECT_NEAR(anova->between_subjects, 46.9770833333, 1e-9);
  EXPECT_EQ(anova->repeat_df(), 2);
  EXPECT_NEAR(anova->between_repeats, 1.0529166667, 1e-9);
  EXPECT_EQ(anova->rest_df(), 5);
  EXPECT_NEAR(anova->rest, 1.1970833333, 1e-9);
  // R: lmer(y ~ site + (1 | subject)), the share of the subjects' variance.
  EXPECT_NEAR(IccOf(*anova, IccForm::kOneWay).value,
              4.536994357630 / (4.536994357630 + 0.321428556639), 1e-8);
}

// Each site has scanners of its own, so shifts between measurements are drawn site by site.
TEST(Icc, OfTwoSitesWeighsShiftsBySite) {
  const std::vector<double> first = {10.1, 11.9, 10.6, 12.2, 13.4, 12.5,
                                     9.4,  11.6, 9.9,  14.0, 15.7, 14.9},
                            second = {20.3, 19.1, 20.0, 23.9, 23.0, 24.4,
                                      18.2, 17.4, 18.6, 21.0, 20.4, 21.9};
  const auto anova = AsBlocks(*AnovaOf(*SumRepeats(first, 3)), *AnovaOf(*SumRepeats(second, 3)));
  ASSERT_TRUE(anova.has_value());
  // R: lmer(y ~ site + (1 | subject) + (1 | site:repeat)).
  const double subjects = 4.9874983277620, repeats = 0.5776387746369, noise = 0.0652777926902;
  EXPECT_NEAR(IccOf(*anova, IccForm::kAgreement).value, subjects / (subjects + repeats + noise),
              1e-7);
}

std::vector<double> RandomTable(std::uint64_t seed, std::size_t subjects, std::size_t repeats,
                                double subject_sd, double shift_sd = 0) {
  Rng rng(seed, "agreement");
  std::vector<double> shifts(repeats), values;
  for (double& shift : shifts) shift = shift_sd * rng.Normal();
  for (std::size_t i = 0; i < subjects; ++i) {
    const double subject = 50 + subject_sd * rng.Normal();
    for (const double shift : shifts) values.push_back(subject + shift + rng.Normal());
  }
  return values;
}

RC_GTEST_PROP(Icc, FromSumsOfHospitalsIsThePooledOne, (std::uint32_t seed)) {
  const auto k = static_cast<std::size_t>(*rc::gen::inRange(2, 5));
  const auto n = static_cast<std::size_t>(*rc::gen::inRange(4, 30));
  const auto cut = static_cast<std::size_t>(*rc::gen::inRange(1, static_cast<int>(n)));
  const std::vector<double> all = RandomTable(seed, n, k, 2, 1);
  const std::span<const double> rows(all);
  const auto repeats = static_cast<int>(k);
  const auto a = SumRepeats(rows.first(cut * k), repeats, 40),
             b = SumRepeats(rows.subspan(cut * k), repeats, 40);
  const auto federated = AnovaOf(*Together(*a, *b)), pooled = AnovaOf(*SumRepeats(all, repeats));
  for (const IccForm form : {IccForm::kOneWay, IccForm::kAgreement, IccForm::kConsistency}) {
    const Agreement one = IccOf(*federated, form), other = IccOf(*pooled, form);
    RC_ASSERT(std::abs(one.value - other.value) < 1e-9);
    RC_ASSERT(one.interval.has_value() && other.interval.has_value());
    RC_ASSERT(std::abs(one.interval->low - other.interval->low) < 1e-8);
    RC_ASSERT(std::abs(one.interval->high - other.interval->high) < 1e-8);
    RC_ASSERT(one.interval->low <= one.value && one.value <= one.interval->high);
  }
  const double direct = RepeatabilityOf(*SumRepeats(all, repeats))->within_subject_cv;
  RC_ASSERT(std::abs(RepeatabilityOf(*Together(*a, *b))->within_subject_cv - direct) < 1e-12);
}

// Of 1,000 studies about 950 intervals hold the truth; 4 standard errors are 28.
TEST(Icc, OfSumsMovedToAnotherCentreIsTheSame) {
  const RepeatSums there = *SumRepeats(kJudges, 4, 5.25),
                   moved = Recentred(*SumRepeats(kJudges, 4), 5.25);
  EXPECT_EQ(moved.centre, 5.25);
  EXPECT_EQ(moved.subjects, there.subjects);
  for (std::size_t j = 0; j < 4; ++j) EXPECT_NEAR(moved.by_repeat[j], there.by_repeat[j], 1e-12);
  EXPECT_NEAR(moved.subject_squares, there.subject_squares, 1e-11);
  EXPECT_NEAR(moved.squares, there.squares, 1e-11);
  EXPECT_EQ(moved.relative_variances, SumRepeats(kJudges, 4)->relative_variances);
}

TEST(Icc, IntervalsHoldTheTruthAsOftenAsTheySay) {
  constexpr double kTrue = 4.0 / 5;  // subject variance 4, noise 1
  int one_way = 0, consistency = 0, blocks = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const auto holds = [](const Agreement& icc) {
      return icc.interval->low <= kTrue && kTrue <= icc.interval->high ? 1 : 0;
    };
    const auto first = AnovaOf(*SumRepeats(RandomTable(seed, 20, 3, 2), 3)),
               second = AnovaOf(*SumRepeats(RandomTable(seed + 1000000, 8, 3, 2), 3));
    one_way += holds(IccOf(*first, IccForm::kOneWay));
    consistency += holds(IccOf(*first, IccForm::kConsistency));
    blocks += holds(IccOf(*AsBlocks(*first, *second), IccForm::kConsistency));
  }
  for (const int held : {one_way, consistency, blocks}) EXPECT_NEAR(held, 950, 28);
}

// Twelve sites of 5 to 11 subjects. Satterthwaite's degrees make it a little less than 95 of 100.
TEST(Icc, OfSitesAsBlocksHoldsTheTruthNearlyAsOftenAsItSays) {
  constexpr double kTrue = 4.0 / 6;  // subject variance 4, shifts 1, noise 1
  int held = 0;
  double mean = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    Anova all;
    for (std::uint64_t site = 0; site < 12; ++site) {
      const std::size_t subjects = 5 + 2 * (site % 4);
      const auto one = AnovaOf(*SumRepeats(RandomTable(seed * 12 + site, subjects, 4, 2, 1), 4));
      all = site == 0 ? *one : *AsBlocks(all, *one);
    }
    const Agreement icc = IccOf(all, IccForm::kAgreement);
    held += icc.interval->low <= kTrue && kTrue <= icc.interval->high ? 1 : 0;
    mean += icc.value / 1000;
  }
  EXPECT_NEAR(mean, kTrue, 0.01);
  EXPECT_GT(held, 915);
  EXPECT_LT(held, 975);
}

TEST(Icc, OfPerfectRepeatsIsOneWithoutAnInterval) {
  const auto anova = AnovaOf(*SumRepeats(std::vector<double>{1, 1, 2, 2, 5, 5}, 2));
  for (const IccForm form : {IccForm::kOneWay, IccForm::kAgreement, IccForm::kConsistency}) {
    const Agreement icc = IccOf(*anova, form);
    EXPECT_EQ(icc.value, 1);
    EXPECT_FALSE(icc.interval.has_value());
  }
}

TEST(Icc, OfNearlyNoDegreesOfFreedomHasNoInterval) {
  // Mean squares of 1e-8, 1 and 1: what agreement's noise is compared with cancels out.
  const Anova anova{2, 1, 10, 9e-8, 1, 9};
  const Agreement icc = IccOf(anova, IccForm::kAgreement);
  EXPECT_NEAR(icc.value, -1, 1e-6);
  EXPECT_FALSE(icc.interval.has_value());
  EXPECT_TRUE(IccOf(anova, IccForm::kConsistency).interval.has_value());
}

TEST(Icc, RefusesWhatDoesNotAddUp) {
  const auto two = SumRepeats(kFirstSite, 2), four = SumRepeats(kJudges, 4),
             shifted = SumRepeats(kFirstSite, 2, 7);
  EXPECT_EQ(Together(*two, *four).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Together(*two, *shifted).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(AsBlocks(*AnovaOf(*two), *AnovaOf(*four)).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(SumRepeats(kJudges, 5).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(SumRepeats(kJudges, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(SumRepeats(std::vector<double>{1, NAN}, 2).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(AnovaOf(*SumRepeats(std::vector<double>{1, 2}, 2)).error().code,
            ErrorCode::kFailedPrecondition);
}

TEST(Repeatability, IsThatOfTheSpreadWithinSubjects) {
  // Variances 0.5 and 2 about 10 and 20.
  const auto sums = SumRepeats(std::vector<double>{9.5, 10.5, 19, 21}, 2, 3);
  const auto result = RepeatabilityOf(*sums);
  ASSERT_TRUE(result.has_value());
  EXPECT_NEAR(result->within_subject_sd, std::sqrt(1.25), 1e-12);
  EXPECT_NEAR(result->coefficient, 1.959963984540054 * std::sqrt(2.5), 1e-12);
  EXPECT_NEAR(result->within_subject_cv, std::sqrt((0.5 / 100 + 2.0 / 400) / 2), 1e-12);
  const auto about_zero = RepeatabilityOf(*SumRepeats(std::vector<double>{-1, 1, 2, 3}, 2));
  EXPECT_TRUE(std::isnan(about_zero->within_subject_cv));
}

const std::vector<double> kX = {9.1, 10.4, 12.0, 14.2, 8.8, 11.1, 13.3, 10.0},
                          kY = {9.5, 10.1, 12.9, 14.0, 9.9, 11.0, 14.1, 10.8};

TEST(Concordance, AndBlandAltmanAreThoseOfR) {
  const auto all = SumPairs(kX, kY);
  const auto ccc = ConcordanceOf(*all);
  ASSERT_TRUE(ccc.has_value());
  EXPECT_NEAR(ccc->value, 0.93065254033229, 1e-12);
  EXPECT_NEAR(ccc->interval->low, 0.723054686792655, 1e-12);
  EXPECT_NEAR(ccc->interval->high, 0.984073670118746, 1e-12);
  const auto limits = LimitsOfAgreement(*all);
  ASSERT_TRUE(limits.has_value());
  EXPECT_NEAR(limits->mean.value, -0.425, 1e-12);
  EXPECT_NEAR(limits->sd, 0.554848756741099, 1e-12);
  EXPECT_NEAR(limits->mean.interval->low, -0.888865168975793, 1e-12);
  EXPECT_NEAR(limits->low.value, -1.51248358007938, 1e-12);
  EXPECT_NEAR(limits->high.interval->high, 0.662483580079378 + 0.803438040527595, 1e-12);
}

TEST(Concordance, FromSumsOfHospitalsIsThePooledOne) {
  const std::span<const double> x(kX), y(kY);
  const auto both =
      Together(*SumPairs(x.first(3), y.first(3), 11), *SumPairs(x.subspan(3), y.subspan(3), 11));
  ASSERT_TRUE(both.has_value());
  const auto federated = ConcordanceOf(*both), pooled = ConcordanceOf(*SumPairs(kX, kY));
  EXPECT_NEAR(federated->value, pooled->value, 1e-12);
  EXPECT_NEAR(federated->interval->low, pooled->interval->low, 1e-11);
  EXPECT_NEAR(LimitsOfAgreement(*both)->low.value, LimitsOfAgreement(*SumPairs(kX, kY))->low.value,
              1e-12);
  EXPECT_EQ(Together(*SumPairs(x, y), *SumPairs(x, y, 1)).error().code,
            ErrorCode::kInvalidArgument);
}

// Two normal measurements of correlation 0.9, one shifted by 0.3: CCC = 1.8 / 2.09.
TEST(Concordance, IntervalsHoldTheTruthAsOftenAsTheySay) {
  constexpr double kTrue = 1.8 / 2.09;
  int held = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    Rng rng(seed, "concordance");
    std::vector<double> x, y;
    for (int i = 0; i < 60; ++i) {
      const double common = rng.Normal();
      x.push_back(common);
      y.push_back(0.3 + 0.9 * common + std::sqrt(0.19) * rng.Normal());
    }
    const auto interval = ConcordanceOf(*SumPairs(x, y))->interval;
    held += interval->low <= kTrue && kTrue <= interval->high ? 1 : 0;
  }
  EXPECT_NEAR(held, 950, 28);
}

TEST(Concordance, RefusesWhatDoesNotVary) {
  const std::vector<double> flat = {2, 2, 2};
  EXPECT_EQ(ConcordanceOf(*SumPairs(flat, flat)).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(SumPairs(flat, kX).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ConcordanceOf(*SumPairs(kX, kX))->value, 1);
  EXPECT_EQ(LimitsOfAgreement(*SumPairs(kX, kY), 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(LimitsOfAgreement(PairSums{}).error().code, ErrorCode::kFailedPrecondition);
}

TEST(OverallConcordance, OfFourJudgesIsItsDefinition) {
  EXPECT_NEAR(*OverallConcordanceOf(*SumRepeats(kJudges, 4, 5)), 460.0 / 1813, 1e-14);
}

// Barnhart, Haber & Song: a pair counts by how far apart its two were if they were independent.
TEST(OverallConcordance, IsAWeightedMeanOfThePairs) {
  Rng rng(4, "raters");
  std::vector<std::vector<double>> by_rater(3);
  std::vector<double> rows;
  for (int subject = 0; subject < 30; ++subject) {
    const double common = 7 + rng.Normal();
    for (std::size_t rater = 0; rater < 3; ++rater) {
      rows.push_back(common + 0.2 * static_cast<double>(rater) + 0.5 * rng.Normal());
      by_rater[rater].push_back(rows.back());
    }
  }
  double weighted = 0, weights = 0;
  for (const auto& [one, other] : {std::pair{0U, 1U}, {0U, 2U}, {1U, 2U}}) {
    const auto sums = SumPairs(by_rater[one], by_rater[other]);
    const double concordance = ConcordanceOf(*sums)->value;
    const double weight = sums->difference_squares / (1 - concordance);
    weighted += weight * concordance;
    weights += weight;
  }
  const double overall = *OverallConcordanceOf(*SumRepeats(rows, 3));
  EXPECT_NEAR(overall, weighted / weights, 1e-12);
  EXPECT_GT(overall, 0.5);
  // From hospitals' sums.
  const std::span<const double> all(rows);
  const auto both = Together(*SumRepeats(all.first(24), 3, 6), *SumRepeats(all.subspan(24), 3, 6));
  EXPECT_NEAR(*OverallConcordanceOf(*both), overall, 1e-12);
}

TEST(OverallConcordance, OfTwoRepeatsIsLins) {
  std::vector<double> rows;
  for (std::size_t i = 0; i < kX.size(); ++i) rows.insert(rows.end(), {kX[i], kY[i]});
  EXPECT_NEAR(*OverallConcordanceOf(*SumRepeats(rows, 2, 10)),
              ConcordanceOf(*SumPairs(kX, kY))->value, 1e-13);
}

TEST(OverallConcordance, RefusesWhatDoesNotVary) {
  for (const std::vector<double>& rows :
       {std::vector<double>{}, {1, 2, 3}, {2, 2, 2, 2, 2, 2, 2, 2, 2}}) {
    EXPECT_EQ(OverallConcordanceOf(*SumRepeats(rows, 3)).error().code,
              ErrorCode::kFailedPrecondition);
  }
}

}  // namespace
}  // namespace consilium
