// Federated ComBat against results computed with 50 digits from the published formulas, and against
// the published programs for centers that the model has not seen (reference/combat/README.md).
//
// Tolerances are those of that README and are not ours to widen. Scaled error |x - x_ref| /
// max(|x_ref|, sigma)
// <= 1e-10, because sixteen digits and a few hundred additions leave about 1e-13; gamma and delta
// 1e-10 absolute; var_pooled 1e-10 relative; the same number of empirical Bayes iterations, since
// the 1e-4 stop rule leaves the result up to 6e-5 sd away from its limit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>

#include "harmonization/combat_fit.h"
#include "harmonization/combat_steps.h"
#include "tests/support/pooled_driver.h"
#include "tests/support/reference_table.h"

namespace consilium::harmonization {
namespace {

using federation::Cohort;
using testing_support::PooledDriver;
using testing_support::ReadReference;
using testing_support::ReferenceTable;

constexpr double kTolerance = 1e-10;

std::filesystem::path Root() {
  return std::filesystem::path(CONSILIUM_SHARED_DIR) / "reference" / "combat";
}

#define SKIP_WITHOUT_REFERENCES()                                                               \
  if (!std::filesystem::exists(Root())) {                                                       \
    GTEST_SKIP() << "skipped: no reference numbers at " << Root() << " (CONSILIUM_SHARED_DIR)"; \
  }

struct Data {
  std::vector<std::string> ids;  // all rows, in file order
  std::vector<std::string> features;
  std::vector<std::string> covariates;
  std::vector<Cohort> cohorts;                             // by site name
  std::map<std::string, std::vector<std::string>> ids_of;  // by site, in the cohort's row order

  [[nodiscard]] std::vector<std::string> sites() const {
    std::vector<std::string> names;
    for (const Cohort& cohort : cohorts) names.push_back(cohort.site);
    return names;
  }
};

// `left_out`: ids of fold 1; every other row is in fold 2.
Data Load(const std::string& set, const std::vector<std::string>& covariates,
          const std::set<std::string>& left_out = {}) {
  const ReferenceTable features = ReadReference(Root() / set / "features.csv");
  const ReferenceTable meta = ReadReference(Root() / set / "meta.csv");
  Data data;
  data.features.assign(features.header.begin() + 1, features.header.end());
  data.covariates = covariates;
  std::map<std::string, std::vector<std::size_t>> rows_of;
  for (std::size_t r = 0; r < meta.rows.size(); ++r) {
    data.ids.push_back(meta.rows[r][0]);
    EXPECT_EQ(meta.rows[r][0], features.rows[r][0]);
    rows_of[meta.rows[r][meta.ColumnOf("site")]].push_back(r);
  }
  for (const auto& [site, rows] : rows_of) {
    Cohort cohort;
    cohort.site = site;
    cohort.feature_names = data.features;
    cohort.covariate_names = covariates;
    const auto n = static_cast<Eigen::Index>(rows.size());
    cohort.features.resize(n, static_cast<Eigen::Index>(data.features.size()));
    cohort.covariates.resize(n, static_cast<Eigen::Index>(covariates.size()));
    cohort.outcome = Eigen::VectorXd::Zero(n);
    for (Eigen::Index j = 0; j < n; ++j) {
      const std::size_t row = rows[static_cast<std::size_t>(j)];
      for (Eigen::Index g = 0; g < cohort.features.cols(); ++g) {
        cohort.features(j, g) = features.Number(row, static_cast<std::size_t>(g) + 1);
      }
      for (Eigen::Index k = 0; k < cohort.covariates.cols(); ++k) {
        cohort.covariates(j, k) = meta.Number(row, covariates[static_cast<std::size_t>(k)]);
      }
      data.ids_of[site].push_back(meta.rows[row][0]);
      cohort.fold.push_back(left_out.contains(meta.rows[row][0]) ? 1 : 2);
    }
    data.cohorts.push_back(std::move(cohort));
  }
  return data;
}

// The smallest power of two above every |value| of a column, as a study's first round would find
// it.
int ExponentOf(const Data& data, bool covariate, Eigen::Index column) {
  double largest = 0;
  for (const Cohort& cohort : data.cohorts) {
    const Eigen::MatrixXd& values = covariate ? cohort.covariates : cohort.features;
    for (Eigen::Index j = 0; j < values.rows(); ++j) {
      if (!std::isnan(values(j, column))) largest = std::max(largest, std::fabs(values(j, column)));
    }
  }
  return largest == 0 ? 0 : std::ilogb(largest) + 1;
}

CombatOptions OptionsFor(const Data& data, std::vector<std::string> members) {
  CombatOptions options;
  options.scope.fit = "fit";
  options.scope.members = std::move(members);
  for (int g = 0; g < static_cast<int>(data.features.size()); ++g) {
    options.columns.push_back(g);
    options.exponent.push_back(ExponentOf(data, false, g));
  }
  for (int k = 0; k < static_cast<int>(data.covariates.size()); ++k) {
    options.covariates.push_back(k);
    options.covariate_exponent.push_back(ExponentOf(data, true, k));
  }
  options.apply.scale_rows_min = 2;
  options.feature_names = data.features;
  options.covariate_names = data.covariates;
  return options;
}

struct Worst {
  double error = 0;
  std::string where;
  void See(double found, const std::string& at) {
    if (!(found <= error)) {  // also when it is not a number
      error = found;
      where = at;
    }
  }
};

// The scaled error of one site's harmonized rows against a table of adjusted values by sample.
void CompareAdjusted(const ReferenceTable& expected, const std::vector<std::string>& ids,
                     const Eigen::MatrixXd& found, const Eigen::VectorXd& var_pooled, Worst& worst,
                     int& compared) {
  const auto index = expected.Index();
  for (std::size_t j = 0; j < ids.size(); ++j) {
    const auto row = index.find(ids[j]);
    if (row == index.end()) continue;
    ++compared;
    for (Eigen::Index g = 0; g < found.cols(); ++g) {
      const double want = expected.Number(row->second, static_cast<std::size_t>(g) + 1);
      const double have = found(static_cast<Eigen::Index>(j), g);
      const std::string at = ids[j] + "/" + expected.header[static_cast<std::size_t>(g) + 1];
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(have)) << at << ": a missing cell stays missing";
        continue;
      }
      worst.See(std::fabs(have - want) / std::max(std::fabs(want), std::sqrt(var_pooled(g))), at);
    }
  }
}

struct Case {
  std::string set;
  std::string name;
  Shrinkage shrinkage = Shrinkage::kEmpiricalBayes;
  Scaling scaling = Scaling::kLocationAndScale;
  StopRule stop = StopRule::kReference;
};

std::vector<std::string> Protected(const std::string& set) {
  if (set == "nsclc_radiogenomics") return {"event", "sex", "smoking_1", "smoking_2"};
  return {"age", "sex", "outcome"};
}

class CombatReference : public testing::TestWithParam<Case> {};

TEST_P(CombatReference, FederatedResultsAreThoseOfFiftyDigits) {
  SKIP_WITHOUT_REFERENCES();
  const Case& param = GetParam();
  const bool with_covariates = param.name.find("_cov") != std::string::npos;
  const Data data =
      Load(param.set, with_covariates ? Protected(param.set) : std::vector<std::string>{});
  CombatOptions options = OptionsFor(data, data.sites());
  options.apply.bayes = {param.shrinkage, param.scaling, param.stop};
  options.missing_allowed = param.set == "synth_a_missing";
  federation::StepRegistry registry;
  RegisterCombatSteps(registry);
  PooledDriver driver(registry, data.cohorts);
  const auto model = driver.Run(HarmonizeWithCombat(driver.sums(), options));
  ASSERT_TRUE(model.has_value()) << model.error().message;
  EXPECT_EQ(driver.rounds().size(), 3U);
  ASSERT_EQ(model->With(FeatureStatus::kAdjusted).size(), data.features.size());

  const auto folder = Root() / param.set / "cases" / param.name;
  const ReferenceTable feature = ReadReference(folder / "feature.csv");
  const ReferenceTable site = ReadReference(folder / "site.csv");
  const ReferenceTable site_feature = ReadReference(folder / "site_feature.csv");
  const ReferenceTable adjusted = ReadReference(folder / "adjusted.csv");

  Worst alpha, beta, variance;
  const Eigen::VectorXd& var_pooled = model->standardizing.var_pooled;
  for (std::size_t g = 0; g < data.features.size(); ++g) {
    const auto c = static_cast<Eigen::Index>(g);
    const double sigma = std::sqrt(var_pooled(c));
    const double want = feature.Number(g, "grand_mean");
    alpha.See(std::fabs(model->standardizing.alpha(c) - want) / std::max(std::fabs(want), sigma),
              data.features[g]);
    const double want_variance = feature.Number(g, "var_pooled");
    variance.See(std::fabs(var_pooled(c) - want_variance) / want_variance, data.features[g]);
    for (std::size_t k = 0; k < data.covariates.size(); ++k) {
      const double slope = feature.Number(g, "b_" + data.covariates[k]);
      beta.See(std::fabs(model->standardizing.beta(static_cast<Eigen::Index>(k), c) - slope) /
                   std::max(std::fabs(slope), sigma),
               data.features[g] + "/" + data.covariates[k]);
    }
  }
  EXPECT_LE(alpha.error, kTolerance) << "alpha, worst at " << alpha.where;
  EXPECT_LE(beta.error, kTolerance) << "beta, worst at " << beta.where;
  EXPECT_LE(variance.error, kTolerance) << "var_pooled, worst at " << variance.where;

  Worst cells, parameters, priors;
  int compared = 0;
  const auto site_index = site.Index();
  const auto site_feature_index = site_feature.Index(2);
  for (const std::string& name : data.sites()) {
    const auto* found = driver.derived(name).Find<HarmonizedFeatures>("fit", federation::kFeatures);
    ASSERT_NE(found, nullptr) << name;
    CompareAdjusted(adjusted, data.ids_of.at(name), found->values, var_pooled, cells, compared);
    const SiteEstimates& estimates = found->estimates;
    for (std::size_t g = 0; g < data.features.size(); ++g) {
      const auto c = static_cast<Eigen::Index>(g);
      const std::string at = name + "/" + data.features[g];
      const std::size_t row = site_feature_index.at(at);
      EXPECT_EQ(estimates.n(c), site_feature.Number(row, "n_observed")) << at;
      parameters.See(std::fabs(estimates.gamma_hat(c) - site_feature.Number(row, "gamma_hat")), at);
      parameters.See(std::fabs(estimates.delta_hat(c) - site_feature.Number(row, "delta_hat")), at);
      parameters.See(std::fabs(estimates.gamma_star(c) - site_feature.Number(row, "gamma_star")),
                     at);
      parameters.See(std::fabs(estimates.delta_star(c) - site_feature.Number(row, "delta_star")),
                     at);
    }
    if (param.shrinkage == Shrinkage::kNone) continue;
    const std::size_t row = site_index.at(name);
    const auto relative = [&](double have, const char* column) {
      const double want = site.Number(row, column);
      priors.See(std::fabs(have - want) / std::max(1.0, std::fabs(want)), name + "/" + column);
    };
    relative(estimates.gamma_bar, "gamma_bar");
    relative(estimates.t2, "t2");
    if (param.scaling != Scaling::kLocationAndScale) continue;
    relative(estimates.a_prior, "a_prior");
    relative(estimates.b_prior, "b_prior");
    if (param.stop != StopRule::kReference) continue;
    EXPECT_EQ(estimates.iterations, site.Number(row, "iterations")) << name;
    relative(estimates.last_change, "last_change");
  }
  EXPECT_EQ(compared, static_cast<int>(data.ids.size()));
  EXPECT_LE(cells.error, kTolerance) << "y*, worst at " << cells.where;
  EXPECT_LE(parameters.error, kTolerance) << "gamma and delta, worst at " << parameters.where;
  EXPECT_LE(priors.error, kTolerance) << "priors, worst at " << priors.where;
  fmt::print("  {} {}: y* {:.1e}, gamma and delta {:.1e}, var_pooled {:.1e}, {} bytes a site\n",
             param.set, param.name, cells.error, parameters.error, variance.error,
             driver.bytes_per_site());
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* set : {"synth_a", "nsclc_radiogenomics", "synth_a_missing"}) {
    cases.push_back({set, "parametric_cov"});
    cases.push_back({set, "parametric_nocov"});
    Case tight{set, "parametric_cov_tight"};
    tight.stop = StopRule::kConverged;
    cases.push_back(tight);
    tight.name = "parametric_nocov_tight";
    cases.push_back(tight);
    Case mean_only{set, "meanonly_cov"};
    mean_only.scaling = Scaling::kMeanOnly;
    cases.push_back(mean_only);
    Case plain{set, "noeb_cov"};
    plain.shrinkage = Shrinkage::kNone;
    cases.push_back(plain);
  }
  Case centring{"synth_a", "noeb_meanonly_cov"};
  centring.shrinkage = Shrinkage::kNone;
  centring.scaling = Scaling::kMeanOnly;
  cases.push_back(centring);
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Combat, CombatReference, testing::ValuesIn(Cases()),
                         [](const testing::TestParamInfo<Case>& each) {
                           return each.param.set + "_" + each.param.name;
                         });

struct Unseen {
  std::string set;
  std::string site;
};

class CombatNewSite : public testing::TestWithParam<Unseen> {};

TEST_P(CombatNewSite, HarmonizesItselfAgainstTheFrozenModelAsPublished) {
  SKIP_WITHOUT_REFERENCES();
  const auto& [set, site] = GetParam();
  const Data data = Load(set, Protected(set));
  std::vector<std::string> members = data.sites();
  std::erase(members, site);
  const auto folder = Root() / set / "frozen_new_site";
  for (const Shrinkage shrinkage : {Shrinkage::kEmpiricalBayes, Shrinkage::kNone}) {
    CombatOptions options = OptionsFor(data, members);
    options.apply.bayes.shrinkage = shrinkage;
    federation::StepRegistry registry;
    RegisterCombatSteps(registry);
    PooledDriver driver(registry, data.cohorts);
    const auto model = driver.Run(HarmonizeWithCombat(driver.sums(), options));
    ASSERT_TRUE(model.has_value()) << model.error().message;
    const bool shrinks = shrinkage == Shrinkage::kEmpiricalBayes;
    const ReferenceTable expected =
        ReadReference(folder / (shrinks ? "new_site_adjusted.csv" : "new_site_adjusted_noeb.csv"));
    const auto* found = driver.derived(site).Find<HarmonizedFeatures>("fit", federation::kFeatures);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->application, Application::kFrozenLocationScale);
    Worst cells;
    int compared = 0;
    CompareAdjusted(expected, data.ids_of.at(site), found->values, model->standardizing.var_pooled,
                    cells, compared);
    EXPECT_EQ(compared, static_cast<int>(expected.rows.size()));
    EXPECT_LE(cells.error, kTolerance) << "the new site's y*, worst at " << cells.where;
    if (!shrinks) continue;

    Worst training;
    int training_rows = 0;
    const ReferenceTable trained = ReadReference(folder / "train_adjusted.csv");
    for (const std::string& member : members) {
      const auto* own =
          driver.derived(member).Find<HarmonizedFeatures>("fit", federation::kFeatures);
      ASSERT_NE(own, nullptr);
      CompareAdjusted(trained, data.ids_of.at(member), own->values, model->standardizing.var_pooled,
                      training, training_rows);
    }
    EXPECT_EQ(training_rows, static_cast<int>(trained.rows.size()));
    EXPECT_LE(training.error, kTolerance) << "a member's y*, worst at " << training.where;

    // The judge here is a published program in double precision, which holds alpha + x' beta in one
    // number: a few roundings of it (8 allowed), in units of sigma, are its own. They exceed 1e-10
    // for f030 alone (mean 1e6, sd 1).
    const StandardizingModel& shared = model->standardizing;
    const auto parameters = [&, &name = site](const char* file, const Eigen::VectorXd& have) {
      const ReferenceTable table = ReadReference(folder / file);
      const std::size_t row = table.Index().at(name);
      for (std::size_t g = 0; g < data.features.size(); ++g) {
        const auto c = static_cast<Eigen::Index>(g);
        const double spacing =
            std::nextafter(std::fabs(shared.alpha(c)), HUGE_VAL) - std::fabs(shared.alpha(c));
        EXPECT_LE(std::fabs(have(c) - table.Number(row, g + 1)),
                  kTolerance + 8 * spacing / std::sqrt(shared.var_pooled(c)))
            << file << " " << data.features[g];
      }
    };
    if (set == "synth_a") {  // f030 of site D in exact rational arithmetic from the same files
      EXPECT_NEAR(found->estimates.gamma_hat(29), 0.3411797656688558, 1e-14);
    }
    parameters("all_gamma_hat.csv", found->estimates.gamma_hat);
    parameters("all_delta_hat.csv", found->estimates.delta_hat);
    parameters("all_gamma_star.csv", found->estimates.gamma_star);
    parameters("all_delta_star.csv", found->estimates.delta_star);
    fmt::print("  {} {}: new site y* {:.1e}, members {:.1e}\n", set, site, cells.error,
               training.error);
  }
}

INSTANTIATE_TEST_SUITE_P(Combat, CombatNewSite,
                         testing::Values(Unseen{"synth_a", "D"},
                                         Unseen{"nsclc_radiogenomics", "R01_SI"}),
                         [](const testing::TestParamInfo<Unseen>& each) { return each.param.set; });

class CombatLeftOutFold : public testing::TestWithParam<std::string> {};

TEST_P(CombatLeftOutFold, IsAdjustedWithItsOwnCentersParametersFittedWithoutIt) {
  SKIP_WITHOUT_REFERENCES();
  const std::string& set = GetParam();
  const auto folder = Root() / set / "frozen_known_site";
  const ReferenceTable expected = ReadReference(folder / "heldout_adjusted.csv");
  const ReferenceTable trained = ReadReference(folder / "train_adjusted.csv");
  std::set<std::string> left_out;
  for (const auto& row : expected.rows) left_out.insert(row[0]);
  const Data data = Load(set, Protected(set), left_out);
  CombatOptions options = OptionsFor(data, data.sites());
  options.scope.left_out_fold = 1;
  federation::StepRegistry registry;
  RegisterCombatSteps(registry);
  PooledDriver driver(registry, data.cohorts);
  const auto model = driver.Run(HarmonizeWithCombat(driver.sums(), options));
  ASSERT_TRUE(model.has_value()) << model.error().message;
  Worst held, training;
  int held_rows = 0, training_rows = 0;
  for (const std::string& site : data.sites()) {
    const auto* own = driver.derived(site).Find<HarmonizedFeatures>("fit", federation::kFeatures);
    ASSERT_NE(own, nullptr);
    const Eigen::VectorXd& var_pooled = model->standardizing.var_pooled;
    CompareAdjusted(expected, data.ids_of.at(site), own->values, var_pooled, held, held_rows);
    CompareAdjusted(trained, data.ids_of.at(site), own->values, var_pooled, training,
                    training_rows);
  }
  EXPECT_EQ(held_rows, static_cast<int>(expected.rows.size()));
  EXPECT_EQ(held_rows + training_rows, static_cast<int>(data.ids.size()));
  EXPECT_LE(held.error, kTolerance) << "left out, worst at " << held.where;
  EXPECT_LE(training.error, kTolerance) << "training, worst at " << training.where;
}

INSTANTIATE_TEST_SUITE_P(Combat, CombatLeftOutFold,
                         testing::Values("synth_a", "nsclc_radiogenomics"));

}  // namespace
}  // namespace consilium::harmonization
