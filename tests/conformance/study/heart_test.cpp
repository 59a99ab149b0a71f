// deploy/studies/heart, run whole, against the check numbers of the validation notes, glmnet's
// lambdas, pROC's external AUCs, and the optimality conditions on the pooled rows.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/conformance/study/pooled_combat.h"
#include "tests/conformance/study/pooled_rows.h"
#include "tests/conformance/study/shipped_study.h"

namespace consilium {
namespace {

using namespace testing_support;  // NOLINT: a test

const char kReference[] = "reference/learning/heart/input.csv";
const std::vector<std::string> kSites = {"cleveland", "hungarian", "switzerland", "va"};
const std::vector<std::string> kFeatures = {"age",      "sex",   "cp2",    "cp3",      "cp4",
                                            "trestbps", "chol",  "fbs",    "restecg1", "restecg2",
                                            "thalach",  "exang", "oldpeak"};
constexpr double kNormal975 = 1.9599639845400545;

std::map<std::string, PooledRows> ReadRows() {
  const CsvTable input = ReadSharedCsv(kReference);
  std::map<std::string, PooledRows> sites;
  for (const std::string& site : kSites) {
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < input.row_count(); ++i) {
      if (input.Cell(i, *input.Column("centre")) == site) rows.push_back(i);
    }
    PooledRows& one = sites[site];
    one.names = kFeatures;
    one.x.resize(static_cast<Eigen::Index>(rows.size()),
                 static_cast<Eigen::Index>(kFeatures.size()));
    one.y.resize(one.x.rows());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto at = static_cast<Eigen::Index>(i);
      one.y(at) = Number(input, rows[i], "y");
      for (std::size_t j = 0; j < kFeatures.size(); ++j) {
        one.x(at, static_cast<Eigen::Index>(j)) = Number(input, rows[i], kFeatures[j]);
      }
    }
  }
  return sites;
}

PooledRows Without(const std::map<std::string, PooledRows>& sites, const std::string& held_out) {
  std::vector<PooledRows> parts;
  for (const auto& [site, rows] : sites) {
    if (site != held_out) parts.push_back(rows);
  }
  return Stack(parts);
}

study::FitKey Key(const std::string& harmonization, const std::string& held_out) {
  return {"lasso", "clinical", harmonization, held_out};
}

class HeartStudy : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!std::filesystem::exists(Shared(kReference))) return;
    auto outcome = RunShippedStudy("heart", kSites, Shared("reference/learning/heart"));
    ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
    results_ = std::make_unique<study::Results>(std::move(outcome->results));
  }
  static void TearDownTestSuite() { results_.reset(); }
  void SetUp() override {
    CONSILIUM_NEEDS_SHARED(kReference);
    ASSERT_NE(results_, nullptr) << "the study did not run";
  }
  static std::unique_ptr<study::Results> results_;
};
std::unique_ptr<study::Results> HeartStudy::results_;

TEST_F(HeartStudy, InternalAucsAndDegradationsAreTheCheckNumbers) {
  struct Expected {
    std::string site;
    double internal, delta, lower, upper;
  };
  for (const Expected& e : {Expected{"cleveland", 0.8573, -0.002, -0.058, 0.057},
                            Expected{"hungarian", 0.8490, -0.025, -0.081, 0.038},
                            Expected{"va", 0.8755, 0.158, 0.061, 0.275}}) {
    SCOPED_TRACE(e.site);
    const study::ResultRow& row = RowOf(*results_, "none", e.site);
    EXPECT_TRUE(Prints(row.internal_auc, e.internal, 4));
    EXPECT_TRUE(Prints(row.degradation, e.delta, 3));
    EXPECT_TRUE(Prints(row.degradation_ci.lower, e.lower, 3));
    EXPECT_TRUE(Prints(row.degradation_ci.upper, e.upper, 3));
    EXPECT_TRUE(row.counts);
  }
}

TEST_F(HeartStudy, SummaryOverCentersIsTheCheckNumbers) {
  const study::SummaryRow& row = SummaryOf(*results_, "none");
  EXPECT_EQ(row.k, 3);
  EXPECT_TRUE(Prints(row.expit_mu, 0.829, 3));
  EXPECT_TRUE(Prints(row.ci.lower, 0.561, 3));
  EXPECT_TRUE(Prints(row.ci.upper, 0.948, 3));
  EXPECT_TRUE(Prints(row.prediction_interval.lower, 0.294, 3));
  EXPECT_TRUE(Prints(row.prediction_interval.upper, 0.983, 3));
  EXPECT_TRUE(Prints(row.delta, 0.032, 3));
  EXPECT_TRUE(Prints(row.delta_ci95.lower, -0.094, 3));
  EXPECT_TRUE(Prints(row.delta_ci95.upper, 0.301, 3));
}

TEST_F(HeartStudy, LambdasAndExternalAucsAreThoseOfGlmnetAndPRoc) {
  const auto reference = ReadReferenceAucs(
      "reference/learning/external_heart/external_auc_lasso_rf.csv", "lasso_lambda_min");
  ASSERT_EQ(reference.size(), kSites.size());
  for (const auto& [site, expected] : reference) {
    SCOPED_TRACE(site);
    const study::ResultRow& row = RowOf(*results_, "none", site);
    EXPECT_NEAR(row.lambda / expected.lambda, 1, 1e-10);
    if (site == "switzerland") continue;  // withheld: the test below
    EXPECT_NEAR(row.external_auc, expected.external, 1e-12);
  }
}

TEST_F(HeartStudy, ACenterWithOneNonEventWithholdsItsFiguresAndIsNotCounted) {
  for (const std::string harmonization : {"none", "combat"}) {
    const study::ResultRow& row = RowOf(*results_, harmonization, "switzerland");
    EXPECT_EQ(row.status, study::RowStatus::kTooFew);
    EXPECT_NE(row.reason.find("fewer than 5"), std::string::npos) << row.reason;
    EXPECT_EQ(row.n, 46);
    EXPECT_EQ(row.events, -1);
    EXPECT_EQ(row.nonevents, -1);
    EXPECT_TRUE(std::isnan(row.external_auc));
    EXPECT_TRUE(std::isnan(row.degradation));
    EXPECT_FALSE(row.counts);
  }
}

TEST_F(HeartStudy, EveryModelIsTheOptimumOnThePooledRowsOfItsTrainingCenters) {
  const auto sites = ReadRows();
  for (const std::string& held_out : kSites) {
    SCOPED_TRACE(held_out);
    const PooledRows pooled = Without(sites, held_out);
    const Standardised s = Standardise(pooled.x);
    const study::ResultRow& row = RowOf(*results_, "none", held_out);
    const LongVector found = ByName(results_->coefficients, Key("none", held_out), pooled.names);
    const LongVector beta = ToStandardised(found, s);
    EXPECT_LE(KktViolation(s.z, pooled.y, beta, row.lambda), 1e-8);
    EXPECT_LE(row.kkt_residual, 1e-8);
    const LongVector optimum = Polish(s.z, pooled.y, beta, row.lambda);
    EXPECT_LE(KktViolation(s.z, pooled.y, optimum, row.lambda), 1e-15);
    EXPECT_LE(static_cast<double>((beta - optimum).cwiseAbs().maxCoeff()), 1e-6);
    std::printf("[ figures  ] %s: KKT %.1e, standardised coefficients within %.1e of the optimum\n",
                held_out.c_str(), KktViolation(s.z, pooled.y, beta, row.lambda),
                static_cast<double>((beta - optimum).cwiseAbs().maxCoeff()));
  }
}

TEST_F(HeartStudy, ExternalAucsAndVariancesAreThoseOverAllPairs) {
  const auto sites = ReadRows();
  for (const std::string held_out : {"cleveland", "hungarian", "va"}) {
    SCOPED_TRACE(held_out);
    const study::ResultRow& row = RowOf(*results_, "none", held_out);
    const PooledRows& rows = sites.at(held_out);
    const BruteForceAuc auc = AucOverAllPairs(
        Scores(rows.x, ByName(results_->coefficients, Key("none", held_out), rows.names)), rows.y);
    EXPECT_NEAR(row.external_auc, auc.auc, 1e-12);
    const double half = kNormal975 * std::sqrt(auc.variance);
    EXPECT_NEAR(row.external_auc_ci_wald.lower, auc.auc - half, 1e-12);
    EXPECT_NEAR(row.external_auc_ci_wald.upper, auc.auc + half, 1e-12);
  }
}

TEST_F(HeartStudy, WithComBatTheModelIsTheOptimumOnTheRowsThatPooledComBatHarmonizes) {
  const auto sites = ReadRows();
  for (const std::string held_out : {"cleveland", "va"}) {
    SCOPED_TRACE(held_out);
    std::vector<PooledRows> parts;
    for (const auto& [site, rows] : sites) {
      if (site != held_out) parts.push_back(rows);
    }
    const PooledCombat combat = FitPooledCombat(parts);
    ASSERT_EQ(combat.adjusted.size(), kFeatures.size() - 1);  // chol is 0 in every Swiss row
    for (PooledRows& part : parts) part.x = HarmonizedMember(combat, part.x);
    const PooledRows pooled = Stack(parts);
    const Standardised s = Standardise(pooled.x);
    const study::ResultRow& row = RowOf(*results_, "combat", held_out);
    const LongVector found = ByName(results_->coefficients, Key("combat", held_out), pooled.names);
    const LongVector beta = ToStandardised(found, s);
    EXPECT_LE(KktViolation(s.z, pooled.y, beta, row.lambda), 1e-8);
    const LongVector optimum = Polish(s.z, pooled.y, beta, row.lambda);
    EXPECT_LE(KktViolation(s.z, pooled.y, optimum, row.lambda), 1e-15);
    EXPECT_LE(static_cast<double>((beta - optimum).cwiseAbs().maxCoeff()), 1e-6);

    // The held-out center harmonizes itself against the frozen model; nobody reads its outcome.
    PooledRows home = sites.at(held_out);
    home.x = HarmonizedHeldOut(combat, home.x);
    const BruteForceAuc auc = AucOverAllPairs(Scores(home.x, found), home.y);
    EXPECT_NEAR(row.external_auc, auc.auc, 1e-12);
    const double half = kNormal975 * std::sqrt(auc.variance);
    EXPECT_NEAR(row.external_auc_ci_wald.lower, auc.auc - half, 1e-12);
    EXPECT_NEAR(row.external_auc_ci_wald.upper, auc.auc + half, 1e-12);
  }
}

}  // namespace
}  // namespace consilium
