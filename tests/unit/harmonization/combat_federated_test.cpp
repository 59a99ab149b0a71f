// Coordinator and sites together, over exact sums.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "harmonization/combat_fit.h"
#include "harmonization/combat_steps.h"
#include "tests/support/combat_sites.h"
#include "tests/support/pooled_driver.h"

namespace consilium::harmonization {
namespace {

using federation::Cohort;
using testing_support::MakeSite;
using testing_support::OptionsFor;
using testing_support::PooledDriver;

const federation::StepRegistry& Registry() {
  static const federation::StepRegistry registry = [] {
    federation::StepRegistry made;
    RegisterCombatSteps(made);
    return made;
  }();
  return registry;
}

std::vector<Cohort> FourSites(Eigen::Index features = 8) {
  return {MakeSite("A", 31, features, 1), MakeSite("B", 24, features, 1),
          MakeSite("C", 12, features, 1), MakeSite("D", 26, features, 1)};
}

struct Outcome {
  Result<CombatModel> model = Fail(ErrorCode::kInternal, "not run");
  std::map<std::string, HarmonizedFeatures> sites;
};

Outcome Harmonize(const std::vector<Cohort>& cohorts, const CombatOptions& options) {
  PooledDriver driver(Registry(), cohorts);
  Outcome outcome;
  outcome.model = driver.Run(HarmonizeWithCombat(driver.sums(), options));
  for (const Cohort& cohort : cohorts) {
    const auto* found =
        driver.derived(cohort.site).Find<HarmonizedFeatures>("fit", federation::kFeatures);
    if (found != nullptr) outcome.sites[cohort.site] = *found;
  }
  return outcome;
}

void ExpectRefused(const Outcome& outcome, ErrorCode code, const std::vector<std::string>& words) {
  ASSERT_FALSE(outcome.model.has_value());
  EXPECT_EQ(outcome.model.error().code, code) << outcome.model.error().message;
  for (const std::string& word : words) {
    EXPECT_NE(outcome.model.error().message.find(word), std::string::npos)
        << "'" << word << "' is not in: " << outcome.model.error().message;
  }
}

TEST(CombatFederated, NeverReadsAnOutcomeNorTheHeldOutCentersRowsWhileFitting) {
  std::vector<Cohort> cohorts = FourSites();
  const CombatOptions options = OptionsFor(cohorts, "D");
  const Outcome before = Harmonize(cohorts, options);
  ASSERT_TRUE(before.model.has_value()) << before.model.error().message;
  for (Cohort& cohort : cohorts) cohort.outcome = (1 - cohort.outcome.array()).reverse().eval();
  const Outcome flipped = Harmonize(cohorts, options);
  ASSERT_TRUE(flipped.model.has_value());
  for (const auto& [site, harmonized] : before.sites) {
    EXPECT_EQ(harmonized.values, flipped.sites.at(site).values) << site << ": the same bits";
  }
  cohorts[3].features.array() += 1;
  const Outcome moved = Harmonize(cohorts, options);
  ASSERT_TRUE(moved.model.has_value());
  EXPECT_EQ(before.model->standardizing.alpha, moved.model->standardizing.alpha);
  EXPECT_EQ(before.sites.at("A").values, moved.sites.at("A").values);
  EXPECT_NE(before.sites.at("D").values, moved.sites.at("D").values);
  EXPECT_EQ(before.sites.at("D").application, Application::kFrozenLocationScale);
}

TEST(CombatFederated, LeftOutRowsDoNotTrainButAreAdjusted) {
  std::vector<Cohort> cohorts = FourSites();
  CombatOptions options = OptionsFor(cohorts);
  options.scope.left_out_fold = 2;
  const Outcome before = Harmonize(cohorts, options);
  ASSERT_TRUE(before.model.has_value()) << before.model.error().message;
  cohorts[0].features.row(1).array() += 0.5;  // a row of fold 2
  const Outcome moved = Harmonize(cohorts, options);
  ASSERT_TRUE(moved.model.has_value());
  EXPECT_EQ(before.model->standardizing.var_pooled, moved.model->standardizing.var_pooled);
  const Eigen::MatrixXd change = moved.sites.at("A").values - before.sites.at("A").values;
  EXPECT_EQ((change.array() != 0).rowwise().any().count(), 1);
  EXPECT_TRUE((change.row(1).array() != 0).all());
}

TEST(CombatFederated, AFeatureConstantInsideOneCenterLeavesForEverybodyAndIsListed) {
  std::vector<Cohort> cohorts = FourSites();
  cohorts[1].features.col(2).setConstant(11);
  for (Cohort& cohort : cohorts) cohort.features.col(5).setConstant(7);
  const Outcome all = Harmonize(cohorts, OptionsFor(cohorts));
  ASSERT_TRUE(all.model.has_value()) << all.model.error().message;
  EXPECT_EQ(all.model->With(FeatureStatus::kNoSpreadSomewhere), std::vector<int>{2});
  EXPECT_EQ(all.model->With(FeatureStatus::kNoSpreadAnywhere), std::vector<int>{5});
  CombatOptions without = OptionsFor(cohorts);
  without.pass_through = {2, 5};
  const Outcome others = Harmonize(cohorts, without);
  ASSERT_TRUE(others.model.has_value());
  for (const Cohort& cohort : cohorts) {
    const Eigen::MatrixXd& values = all.sites.at(cohort.site).values;
    EXPECT_EQ(values.col(2), cohort.features.col(2));
    EXPECT_EQ(values.col(5), cohort.features.col(5));
    EXPECT_NE(values.col(0), cohort.features.col(0));
    EXPECT_EQ(values, others.sites.at(cohort.site).values) << "the other features do not notice";
  }
}

TEST(CombatFederated, AFeatureThatFollowsFromTheCovariatesIsLeftUntouched) {
  std::vector<Cohort> cohorts = FourSites();
  for (Cohort& cohort : cohorts)
    cohort.features.col(3) = 0.7 * cohort.covariates.col(0).array() - 3;
  const Outcome outcome = Harmonize(cohorts, OptionsFor(cohorts));
  ASSERT_TRUE(outcome.model.has_value()) << outcome.model.error().message;
  EXPECT_EQ(outcome.model->With(FeatureStatus::kNoResidualVariance), std::vector<int>{3});
  EXPECT_EQ(outcome.sites.at("A").values.col(3), cohorts[0].features.col(3));
}

TEST(CombatFederated, ColumnsKeepTheOrderOfTheFit) {
  const std::vector<Cohort> cohorts = FourSites();
  CombatOptions options = OptionsFor(cohorts);
  options.columns = {6, 0, 3};
  options.exponent = {options.exponent[6], options.exponent[0], options.exponent[3]};
  options.pass_through = {1};
  const Outcome outcome = Harmonize(cohorts, options);
  ASSERT_TRUE(outcome.model.has_value()) << outcome.model.error().message;
  const HarmonizedFeatures& site = outcome.sites.at("B");
  EXPECT_EQ(site.values.cols(), 3);
  EXPECT_EQ(site.values.col(1), cohorts[1].features.col(0));
  EXPECT_EQ(site.adjusted, (std::vector<int>{0, 2}));
  EXPECT_LT((site.values.col(0) - cohorts[1].features.col(6)).norm(), 100);
  EXPECT_NE(site.values.col(0), cohorts[1].features.col(6));
}

TEST(CombatFederated, NothingToAdjustIsNotAnError) {
  const std::vector<Cohort> cohorts = FourSites(2);
  CombatOptions options = OptionsFor(cohorts);
  options.pass_through = {0, 1};
  options.missing_allowed = true;
  const Outcome outcome = Harmonize(cohorts, options);
  ASSERT_TRUE(outcome.model.has_value()) << outcome.model.error().message;
  EXPECT_EQ(outcome.sites.at("C").values, cohorts[2].features);
}

TEST(CombatFederated, ACenterWithOneTrainingRowIsNamed) {
  std::vector<Cohort> cohorts = FourSites();
  cohorts[2] = MakeSite("C", 1, 8, 1);
  ExpectRefused(Harmonize(cohorts, OptionsFor(cohorts)), ErrorCode::kFailedPrecondition,
                {"site C", "1 training row", "at least 2"});
  cohorts[2] = MakeSite("C", 2, 8, 1);
  EXPECT_TRUE(Harmonize(cohorts, OptionsFor(cohorts)).model.has_value());
}

TEST(CombatFederated, AMissingValueIsNamedByColumnAndCountUnlessTheStudyAllowsIt) {
  std::vector<Cohort> cohorts = FourSites();
  cohorts[1].features(3, 4) = std::numeric_limits<double>::quiet_NaN();
  CombatOptions options = OptionsFor(cohorts);
  ExpectRefused(Harmonize(cohorts, options), ErrorCode::kFailedPrecondition,
                {"site B", "feature f5", "1 of 24"});
  options.missing_allowed = true;
  const Outcome allowed = Harmonize(cohorts, options);
  ASSERT_TRUE(allowed.model.has_value()) << allowed.model.error().message;
  const Eigen::MatrixXd& values = allowed.sites.at("B").values;
  EXPECT_EQ(values.array().isNaN().count(), 1);
  EXPECT_TRUE(std::isnan(values(3, 4)));
  EXPECT_EQ(allowed.model->observed(4), allowed.model->rows - 1);
}

TEST(CombatFederated, AllowingMissingValuesChangesNothingWhenThereAreNone) {
  const std::vector<Cohort> cohorts = FourSites();
  CombatOptions options = OptionsFor(cohorts);
  const Outcome shared = Harmonize(cohorts, options);
  options.missing_allowed = true;
  const Outcome by_feature = Harmonize(cohorts, options);
  ASSERT_TRUE(shared.model.has_value() && by_feature.model.has_value());
  EXPECT_EQ(shared.sites.at("A").values, by_feature.sites.at("A").values);
}

TEST(CombatFederated, AValueBeyondItsPublicBoundIsRefusedWithoutSayingIt) {
  std::vector<Cohort> cohorts = FourSites();
  const CombatOptions options = OptionsFor(cohorts);
  cohorts[3].features(0, 6) = 123456.0;
  const Outcome outcome = Harmonize(cohorts, options);
  ExpectRefused(outcome, ErrorCode::kOutOfRange, {"site D", "feature f7", "2^"});
  EXPECT_EQ(outcome.model.error().message.find("123456"), std::string::npos);
  cohorts[3].features(0, 6) = std::numeric_limits<double>::infinity();
  ExpectRefused(Harmonize(cohorts, options), ErrorCode::kOutOfRange, {"feature f7"});
}

TEST(CombatFederated, ACovariateWithoutSpreadInsideAnyCenterIsNamed) {
  std::vector<Cohort> cohorts = FourSites();
  for (Cohort& cohort : cohorts) cohort.covariates.col(1).setConstant(cohort.site == "A" ? 1 : 0);
  ExpectRefused(Harmonize(cohorts, OptionsFor(cohorts)), ErrorCode::kFailedPrecondition,
                {"covariate sex", "same value within every training center"});
}

TEST(CombatFederated, CollinearCovariatesAreNamed) {
  std::vector<Cohort> cohorts = FourSites();
  for (Cohort& cohort : cohorts) {
    cohort.covariates.col(1) =
        0.01 * cohort.covariates.col(0).array() + (cohort.site == "B" ? 0.3 : 0.1);
  }
  ExpectRefused(Harmonize(cohorts, OptionsFor(cohorts)), ErrorCode::kFailedPrecondition,
                {"linear combination", "age", "sex"});
}

TEST(CombatFederated, ACovariateConstantInOneCenterIsAllowed) {
  std::vector<Cohort> cohorts = FourSites();
  cohorts[0].covariates.col(1).setZero();
  EXPECT_TRUE(Harmonize(cohorts, OptionsFor(cohorts)).model.has_value());
}

TEST(CombatFederated, ACovariateThatDiffersBetweenCentersRaisesAWarning) {
  std::vector<Cohort> cohorts = FourSites();
  const Outcome quiet = Harmonize(cohorts, OptionsFor(cohorts));
  ASSERT_TRUE(quiet.model.has_value());
  EXPECT_TRUE(quiet.model->warnings.empty());
  cohorts[0].covariates.col(0).array() += 20;
  cohorts[1].covariates.col(0).array() += 20;
  const Outcome loud = Harmonize(cohorts, OptionsFor(cohorts));
  ASSERT_TRUE(loud.model.has_value());
  ASSERT_EQ(loud.model->warnings.size(), 1U);
  const CombatWarning& warning = loud.model->warnings.front();
  EXPECT_EQ(warning.kind, CombatWarningKind::kAssociatedWithSite);
  EXPECT_NE(warning.message.find("age"), std::string::npos);
  // eta^2 by the plain formula.
  double n = 0, sum = 0, squares = 0, between = 0;
  for (const Cohort& cohort : cohorts) {
    const Eigen::VectorXd age = cohort.covariates.col(0);
    n += static_cast<double>(age.size());
    sum += age.sum();
    squares += age.squaredNorm();
    between += age.sum() * age.sum() / static_cast<double>(age.size());
  }
  EXPECT_NEAR(warning.value, (between - sum * sum / n) / (squares - sum * sum / n), 1e-9);
}

TEST(CombatFederated, OptionsThatContradictEachOtherAreRefusedByField) {
  const std::vector<Cohort> cohorts = FourSites();
  const auto refused = [&](const char* field, auto change) {
    CombatOptions options = OptionsFor(cohorts);
    change(options);
    ExpectRefused(Harmonize(cohorts, options), ErrorCode::kInvalidArgument, {field});
  };
  refused("scope.members", [](CombatOptions& o) { o.scope.members = {"A"}; });
  refused("columns", [](CombatOptions& o) { o.columns[1] = o.columns[0]; });
  refused("exponent", [](CombatOptions& o) { o.exponent.pop_back(); });
  refused("exponent", [](CombatOptions& o) { o.exponent[0] = 401; });
  refused("covariate_exponent", [](CombatOptions& o) { o.covariate_exponent.clear(); });
  refused("pass_through", [](CombatOptions& o) { o.pass_through = {8}; });
  refused("rows", [](CombatOptions& o) { o.rows = -1; });
  refused("apply.scale_rows_min", [](CombatOptions& o) { o.apply.scale_rows_min = 1; });
  refused("feature 100", [](CombatOptions& o) { o.columns[0] = 99; });
}

TEST(CombatFederated, AQueryThatLacksABlockIsRefusedBeforeAnythingIsComputed) {
  const std::vector<Cohort> cohorts = FourSites();
  PooledDriver driver(Registry(), cohorts);
  ASSERT_TRUE(driver.Run(HarmonizeWithCombat(driver.sums(), OptionsFor(cohorts))).has_value());
  ASSERT_EQ(driver.rounds().size(), 3U);
  for (const auto& round : driver.rounds()) {
    const federation::Query& whole = round.front();
    const federation::Step* step = Registry().Find(whole.step);
    ASSERT_NE(step, nullptr);
    ASSERT_TRUE(step->layout(whole).has_value());
    for (std::size_t i = 0; i < whole.inputs.size(); ++i) {
      federation::Query query = whole;
      query.inputs.erase(query.inputs.begin() + static_cast<std::ptrdiff_t>(i));
      const auto layout = step->layout(query);
      const bool answered_without_it = layout.has_value();
      const bool only_the_answer_reads_it = whole.step == "combat.residuals" && i >= 6;
      EXPECT_EQ(answered_without_it, only_the_answer_reads_it)
          << whole.step << " " << whole.inputs[i].name;
      if (only_the_answer_reads_it) {
        EXPECT_FALSE(step->answer({cohorts[0]}, {}, query).has_value());
      }
    }
  }
}

TEST(CombatFederated, TheFirstRoundDeclaresItsCrossProductsAtOnePointForAllPatterns) {
  const std::vector<Cohort> cohorts = FourSites();
  const auto declared = [&](CombatOptions options) {
    PooledDriver driver(Registry(), cohorts);
    EXPECT_TRUE(driver.Run(HarmonizeWithCombat(driver.sums(), options)).has_value());
    auto disclosure = Registry().Find("combat.moments")->disclosure(driver.rounds()[0][0]);
    EXPECT_TRUE(disclosure.has_value());
    return *disclosure;
  };
  CombatOptions options = OptionsFor(cohorts);
  options.rows = 31 + 24 + 12 + 26;
  const auto all = declared(options);
  EXPECT_EQ(all.curvature_columns, 2);
  EXPECT_EQ(all.rows_of_sum, options.rows);
  EXPECT_NE(all.curvature_point, Digest{});
  const auto without_d = declared(OptionsFor(cohorts, "D"));
  EXPECT_EQ(without_d.curvature_point, all.curvature_point);
  options.covariates.clear();
  options.covariate_exponent.clear();
  EXPECT_EQ(declared(options).curvature_columns, 0);
}

TEST(CombatFederated, AnotherNumberOfRowsThanInAnEarlierRoundIsRefused) {
  const std::vector<Cohort> cohorts = FourSites();
  CombatOptions options = OptionsFor(cohorts);
  options.rows = 92;
  ExpectRefused(Harmonize(cohorts, options), ErrorCode::kDataLoss, {"93", "92"});
}

}  // namespace
}  // namespace consilium::harmonization
