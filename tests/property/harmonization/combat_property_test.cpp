// Laws of federated ComBat that hold for any data.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <Eigen/QR>
#include <algorithm>
#include <cmath>

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

std::vector<Cohort> AnySites(int at_least = 2) {
  const auto seed = *rc::gen::inRange<std::uint64_t>(1, 1'000'000);
  const auto features = *rc::gen::inRange<Eigen::Index>(3, 12);
  const auto count = *rc::gen::inRange(at_least, 6);
  std::vector<Cohort> cohorts;
  for (int i = 0; i < count; ++i) {
    const auto rows = *rc::gen::inRange<Eigen::Index>(8, 40);
    cohorts.push_back(MakeSite(std::string(1, static_cast<char>('A' + i)), rows, features, seed));
  }
  return cohorts;
}

struct Fitted {
  CombatModel model;
  std::map<std::string, HarmonizedFeatures> sites;
};

Fitted Harmonize(const std::vector<Cohort>& cohorts, const CombatOptions& options) {
  federation::StepRegistry registry;
  RegisterCombatSteps(registry);
  PooledDriver driver(registry, cohorts);
  auto model = driver.Run(HarmonizeWithCombat(driver.sums(), options));
  RC_ASSERT(model.has_value());
  Fitted fitted{std::move(*model), {}};
  for (const Cohort& cohort : cohorts) {
    const auto* found =
        driver.derived(cohort.site).Find<HarmonizedFeatures>("fit", federation::kFeatures);
    RC_ASSERT(found != nullptr);
    fitted.sites[cohort.site] = *found;
  }
  return fitted;
}

double ScaledError(const Eigen::MatrixXd& found, const Eigen::MatrixXd& expected) {
  double worst = 0;
  for (Eigen::Index g = 0; g < found.cols(); ++g) {
    const double unit = std::max(1e-300, expected.col(g).cwiseAbs().maxCoeff());
    worst = std::max(worst, (found.col(g) - expected.col(g)).cwiseAbs().maxCoeff() / unit);
  }
  return worst;
}

TEST(CombatProperty, TheModelIsThePooledRegressionWithOneInterceptACenter) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<Cohort> cohorts = AnySites();
    const CombatModel model = Harmonize(cohorts, OptionsFor(cohorts)).model;
    // Another road: all rows in one place, explicit dummies, Householder QR.
    Eigen::Index n = 0;
    for (const Cohort& cohort : cohorts) n += cohort.row_count();
    const auto sites = static_cast<Eigen::Index>(cohorts.size());
    Eigen::MatrixXd design = Eigen::MatrixXd::Zero(n, sites + 2);
    Eigen::MatrixXd y(n, cohorts[0].features.cols());
    Eigen::VectorXd weight(sites);
    Eigen::Index at = 0;
    for (Eigen::Index i = 0; i < sites; ++i) {
      const Cohort& cohort = cohorts[static_cast<std::size_t>(i)];
      design.block(at, i, cohort.row_count(), 1).setOnes();
      design.block(at, sites, cohort.row_count(), 2) = cohort.covariates;
      y.middleRows(at, cohort.row_count()) = cohort.features;
      weight(i) = static_cast<double>(cohort.row_count()) / static_cast<double>(n);
      at += cohort.row_count();
    }
    const Eigen::MatrixXd b = design.colPivHouseholderQr().solve(y);
    const Eigen::VectorXd alpha = b.topRows(sites).transpose() * weight;
    const Eigen::MatrixXd residual = y - design * b;
    const Eigen::VectorXd variance =
        residual.colwise().squaredNorm().transpose() / static_cast<double>(n);
    RC_ASSERT((model.standardizing.alpha - alpha).cwiseAbs().maxCoeff() <= 1e-9);
    RC_ASSERT((model.standardizing.beta - b.bottomRows(2)).cwiseAbs().maxCoeff() <= 1e-9);
    RC_ASSERT(
        ((model.standardizing.var_pooled - variance).array() / variance.array()).abs().maxCoeff() <=
        1e-10);
  }));
}

TEST(CombatProperty, NeitherTheOrderNorTheNamesOfTheCentersChangeABit) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<Cohort> cohorts = AnySites();
    const Fitted first = Harmonize(cohorts, OptionsFor(cohorts));
    std::vector<Cohort> renamed(cohorts.rbegin(), cohorts.rend());
    std::map<std::string, std::string> old_name;
    for (std::size_t i = 0; i < renamed.size(); ++i) {
      const std::string name = "hospital " + std::to_string((i * 7 + 3) % 11);
      old_name[name] = renamed[i].site;
      renamed[i].site = name;
    }
    const Fitted second = Harmonize(renamed, OptionsFor(renamed));
    RC_ASSERT(first.model.standardizing.alpha == second.model.standardizing.alpha);
    RC_ASSERT(first.model.standardizing.var_pooled == second.model.standardizing.var_pooled);
    for (const auto& [name, site] : second.sites) {
      RC_ASSERT(site.values == first.sites.at(old_name.at(name)).values);
    }
  }));
}

TEST(CombatProperty, AChangeOfUnitsChangesTheResultByTheSameUnits) {
  EXPECT_TRUE(rc::check([] {
    std::vector<Cohort> cohorts = AnySites();
    const Fitted before = Harmonize(cohorts, OptionsFor(cohorts));
    const double factor = *rc::gen::element(1e-6, 0.3, 2.0, 1e10);
    const double offset = *rc::gen::element(0.0, -50.0, 3.0) * factor;
    for (Cohort& cohort : cohorts)
      cohort.features.col(1) = (cohort.features.col(1).array() * factor + offset).eval();
    const Fitted after = Harmonize(cohorts, OptionsFor(cohorts));
    for (const Cohort& cohort : cohorts) {
      const HarmonizedFeatures& old_site = before.sites.at(cohort.site);
      const HarmonizedFeatures& new_site = after.sites.at(cohort.site);
      Eigen::MatrixXd expected = old_site.values;
      expected.col(1) = (expected.col(1).array() * factor + offset).eval();
      RC_ASSERT(ScaledError(new_site.values, expected) <= 1e-10);
      RC_ASSERT(new_site.estimates.iterations == old_site.estimates.iterations);
      RC_ASSERT(
          (new_site.estimates.gamma_star - old_site.estimates.gamma_star).cwiseAbs().maxCoeff() <=
          1e-10);
      RC_ASSERT(
          (new_site.estimates.delta_star - old_site.estimates.delta_star).cwiseAbs().maxCoeff() <=
          1e-10);
    }
  }));
}

TEST(CombatProperty, MirroringAllFeaturesMirrorsTheFixedPoint) {
  EXPECT_TRUE(rc::check([] {
    std::vector<Cohort> cohorts = AnySites();
    CombatOptions options = OptionsFor(cohorts);
    options.apply.bayes.stop = StopRule::kConverged;
    const Fitted before = Harmonize(cohorts, options);
    for (Cohort& cohort : cohorts) cohort.features = -cohort.features;
    const Fitted after = Harmonize(cohorts, options);
    for (const auto& [name, site] : after.sites) {
      RC_ASSERT(ScaledError(-site.values, before.sites.at(name).values) <= 1e-12);
    }
  }));
}

TEST(CombatProperty, WithoutShrinkageAndCovariatesEveryCenterGetsThePooledMeanAndSpread) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<Cohort> cohorts = AnySites();
    CombatOptions options = OptionsFor(cohorts);
    options.covariates.clear();
    options.covariate_exponent.clear();
    options.apply.bayes.shrinkage = Shrinkage::kNone;
    const Fitted fitted = Harmonize(cohorts, options);
    for (const auto& [name, site] : fitted.sites) {
      const LocationScale own = Summarize(site.values);
      RC_ASSERT((own.gamma_hat - fitted.model.standardizing.alpha).cwiseAbs().maxCoeff() <= 1e-10);
      RC_ASSERT((own.delta_hat - fitted.model.standardizing.var_pooled).cwiseAbs().maxCoeff() <=
                1e-10);
    }
  }));
}

TEST(CombatProperty, ASecondPassMovesValuesLessThanTheFirst) {
  EXPECT_TRUE(rc::check([] {
    std::vector<Cohort> cohorts = AnySites();
    const Fitted once = Harmonize(cohorts, OptionsFor(cohorts));
    double first = 0, second = 0;
    std::vector<Cohort> adjusted = cohorts;
    for (Cohort& cohort : adjusted) {
      first += (once.sites.at(cohort.site).values - cohort.features).squaredNorm();
      cohort.features = once.sites.at(cohort.site).values;
    }
    const Fitted twice = Harmonize(adjusted, OptionsFor(adjusted));
    for (const Cohort& cohort : adjusted) {
      second += (twice.sites.at(cohort.site).values - cohort.features).squaredNorm();
    }
    RC_ASSERT(second < first);
  }));
}

TEST(CombatProperty, TheOrderOfTheFeaturesDoesNotMatter) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<Cohort> cohorts = AnySites();
    const CombatOptions options = OptionsFor(cohorts);
    const Fitted forward = Harmonize(cohorts, options);
    CombatOptions reversed = options;
    std::reverse(reversed.columns.begin(), reversed.columns.end());
    std::reverse(reversed.exponent.begin(), reversed.exponent.end());
    const Fitted backward = Harmonize(cohorts, reversed);
    for (const auto& [name, site] : forward.sites) {
      RC_ASSERT(ScaledError(backward.sites.at(name).values.rowwise().reverse(), site.values) <=
                1e-12);
      RC_ASSERT(site.estimates.iterations == backward.sites.at(name).estimates.iterations);
    }
  }));
}

TEST(CombatProperty, AHeldOutCenterDoesNotDependOnItsNeighboursOnceTheModelIsFrozen) {
  EXPECT_TRUE(rc::check([] {
    std::vector<Cohort> cohorts = AnySites(4);
    const CombatOptions options = [&] {
      CombatOptions made = OptionsFor(cohorts, "A");
      std::erase(made.scope.members, "B");
      return made;
    }();
    const Fitted both = Harmonize(cohorts, options);
    cohorts.erase(cohorts.begin() + 1);
    const Fitted alone = Harmonize(cohorts, options);
    RC_ASSERT(both.sites.at("A").values == alone.sites.at("A").values);
  }));
}

}  // namespace
}  // namespace consilium::harmonization
