// deploy/studies/lung6, run whole (6 held-out hospitals, without and with ComBat, 10 folds: 132
// fits), against the check numbers of the validation notes, the references' columns, glmnet's
// lambdas, pROC's external AUCs, and the optimality conditions on the pooled rows.
//
// The event of the study is death (surv2yr = 0), that of the reference survival: the same LASSO
// with the signs reversed, the same lambdas, the same AUCs.
//
// The reference fitted 887 columns, 82 of them exact duplicates; the study keeps the first of each.
// With Radboud or MUMC held out, 869 or 885 rows stand between 805 and 887 columns, so that
// glmnet's rule (rows >= columns) gives the two fits other grids. There the figures are those of
// glmnet 4.1.6 on the 805 columns of features_unique.csv.
#include <gtest/gtest.h>

#include <cstdio>
#include <set>

#include "tests/conformance/study/pooled_combat.h"
#include "tests/conformance/study/pooled_rows.h"
#include "tests/conformance/study/shipped_study.h"

namespace consilium {
namespace {

using namespace testing_support;  // NOLINT: a test

const char kNeeded[] = "data/lung6/HarvardRT.csv";
const std::string kReference = "reference/learning/lung6/";
const std::vector<std::string> kSites = {"HarvardRT", "M-SPORE", "MUMC",
                                         "Maastro",   "Moffitt", "Radboud"};
constexpr double kNormal975 = 1.9599639845400545;

std::vector<std::string> FirstColumn(const CsvTable& table) {
  std::vector<std::string> cells;
  for (std::size_t i = 0; i < table.row_count(); ++i) cells.emplace_back(table.Cell(i, 0));
  return cells;
}

// The rows that foldid.csv lists and the columns that features_unique.csv lists, from the
// hospitals' files: another road than the cohort files.
std::map<std::string, PooledRows> ReadRows() {
  const std::vector<std::string> names =
      FirstColumn(ReadSharedCsv(kReference + "features_unique.csv"));
  const CsvTable folds = ReadSharedCsv(kReference + "foldid.csv");
  std::map<std::string, std::vector<std::size_t>> rows;
  for (std::size_t i = 0; i < folds.row_count(); ++i) {
    rows[std::string(folds.Cell(i, 0))].push_back(
        static_cast<std::size_t>(Number(folds, i, "source_row")) - 1);
  }
  std::map<std::string, PooledRows> sites;
  for (const std::string& site : kSites) {
    const CsvTable table = ReadSharedCsv("data/lung6/" + site + ".csv");
    PooledRows& one = sites[site];
    one.names = names;
    one.x.resize(static_cast<Eigen::Index>(rows[site].size()),
                 static_cast<Eigen::Index>(names.size()));
    one.y.resize(one.x.rows());
    for (std::size_t i = 0; i < rows[site].size(); ++i) {
      const auto at = static_cast<Eigen::Index>(i);
      one.y(at) = 1 - Number(table, rows[site][i], "surv2yr");
      for (std::size_t j = 0; j < names.size(); ++j) {
        one.x(at, static_cast<Eigen::Index>(j)) = Number(table, rows[site][i], names[j]);
      }
    }
    EXPECT_TRUE(one.x.allFinite() && one.y.allFinite()) << site;
  }
  return sites;
}

study::FitKey Key(const std::string& harmonization, const std::string& held_out) {
  return {"lasso", "radiomics", harmonization, held_out};
}

// What the fit dropped for a reason that begins with `reason`: column, then the rest of the reason.
std::map<std::string, std::string> Dropped(const study::Results& results, const study::FitKey& key,
                                           const std::string& reason) {
  std::map<std::string, std::string> dropped;
  for (const study::DroppedFeature& one : results.dropped_features) {
    if (one.key == key && one.reason.starts_with(reason)) {
      dropped[one.feature] = one.reason.substr(reason.size());
    }
  }
  return dropped;
}

// The columns that a fit kept, of all the hospitals' rows.
PooledRows Select(const PooledRows& rows, const std::map<std::string, std::string>& dropped) {
  std::vector<Eigen::Index> kept;
  PooledRows selected;
  for (std::size_t j = 0; j < rows.names.size(); ++j) {
    if (dropped.contains(rows.names[j])) continue;
    kept.push_back(static_cast<Eigen::Index>(j));
    selected.names.push_back(rows.names[j]);
  }
  selected.x = rows.x(Eigen::all, kept);
  selected.y = rows.y;
  return selected;
}

class Lung6Study : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!std::filesystem::exists(Shared(kNeeded))) return;
    auto outcome = RunShippedStudy("lung6", kSites, Shared("data/lung6"));
    ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
    results_ = std::make_unique<study::Results>(std::move(outcome->results));
    rows_ = std::make_unique<std::map<std::string, PooledRows>>(ReadRows());
  }
  static void TearDownTestSuite() {
    results_.reset();
    rows_.reset();
  }
  void SetUp() override {
    CONSILIUM_NEEDS_SHARED(kNeeded);
    ASSERT_NE(results_, nullptr) << "the study did not run";
  }

  // The optimality conditions on `pooled`, and the distance to the optimum that Newton finds.
  static void ExpectOptimum(const study::FitKey& key, const PooledRows& pooled) {
    const study::ResultRow& row = RowOf(*results_, key.harmonization, key.held_out);
    const Standardised s = Standardise(pooled.x);
    const LongVector found = ByName(results_->coefficients, key, pooled.names);
    const LongVector beta = ToStandardised(found, s);
    const double kkt = KktViolation(s.z, pooled.y, beta, row.lambda);
    EXPECT_LE(kkt, 1e-8);
    EXPECT_LE(row.kkt_residual, 1e-8);
    const LongVector optimum = Polish(s.z, pooled.y, beta, row.lambda);
    EXPECT_LE(KktViolation(s.z, pooled.y, optimum, row.lambda), 1e-12);  // the support is right
    const auto away = static_cast<double>((beta - optimum).cwiseAbs().maxCoeff());
    EXPECT_LE(away, 1e-6);
    std::printf("[ figures  ] %s, held out %s: KKT %.1e, standardised coefficients within %.1e\n",
                key.harmonization.c_str(), key.held_out.c_str(), kkt, away);
  }
  static void ExpectExternalAuc(const study::FitKey& key, const PooledRows& home) {
    const study::ResultRow& row = RowOf(*results_, key.harmonization, key.held_out);
    const BruteForceAuc auc =
        AucOverAllPairs(Scores(home.x, ByName(results_->coefficients, key, home.names)), home.y);
    EXPECT_NEAR(row.external_auc, auc.auc, 1e-12);
    const double half = kNormal975 * std::sqrt(auc.variance);
    EXPECT_NEAR(row.external_auc_ci_wald.lower, auc.auc - half, 1e-12);
    EXPECT_NEAR(row.external_auc_ci_wald.upper, auc.auc + half, 1e-12);
  }

  static std::unique_ptr<study::Results> results_;
  static std::unique_ptr<std::map<std::string, PooledRows>> rows_;
};
std::unique_ptr<study::Results> Lung6Study::results_;
std::unique_ptr<std::map<std::string, PooledRows>> Lung6Study::rows_;

// The check number of Delta, -0.002 with 90 % [-0.081, 0.079], is that of the 887 columns; the 805
// move it by less than 0.001.
TEST_F(Lung6Study, SummaryOverCentersIsTheCheckNumbers) {
  const study::SummaryRow& row = SummaryOf(*results_, "none");
  EXPECT_EQ(row.k, 6);
  EXPECT_TRUE(Prints(row.expit_mu, 0.568, 3));
  EXPECT_TRUE(Prints(row.ci.lower, 0.477, 3));
  EXPECT_TRUE(Prints(row.ci.upper, 0.655, 3));
  EXPECT_NEAR(row.delta, -0.002, 1e-3);
  EXPECT_TRUE(Prints(row.delta_ci95.lower, -0.101, 3));
  EXPECT_TRUE(Prints(row.delta_ci95.upper, 0.099, 3));
  EXPECT_NEAR(row.delta_ci90.lower, -0.081, 1e-3);
  EXPECT_NEAR(row.delta_ci90.upper, 0.079, 1e-3);
}

TEST_F(Lung6Study, InternalAucsInsideCentersAreFarBelowThePooledOnes) {
  double within = 0, pooled = 0;
  for (const std::string& site : kSites) {
    within += RowOf(*results_, "none", site).internal_auc / 6;
    pooled += RowOf(*results_, "none", site).internal_auc_pooled / 6;
  }
  EXPECT_TRUE(Prints(within, 0.565, 3));
  EXPECT_TRUE(Prints(pooled, 0.664, 3));
}

TEST_F(Lung6Study, RowsAreThoseOfTheReference) {
  std::size_t n = 0;
  for (const std::string& site : kSites) {
    const study::ResultRow& row = RowOf(*results_, "none", site);
    EXPECT_EQ(row.n, rows_->at(site).x.rows()) << site;
    EXPECT_EQ(static_cast<double>(row.events), rows_->at(site).y.sum()) << site;
    n += static_cast<std::size_t>(row.n);
  }
  EXPECT_EQ(n, 973U);
}

// Five columns have missing cells, 82 repeat an earlier one in all hospitals; fewer training rows
// may make one or two more equal, and never fewer.
TEST_F(Lung6Study, DroppedColumnsAreTheReferencesAndThoseThatRepeatInTheTrainingRows) {
  const CsvTable duplicates = ReadSharedCsv(kReference + "features_duplicate_of.csv");
  ASSERT_EQ(duplicates.row_count(), 82U);
  const std::vector<std::string> used =
      FirstColumn(ReadSharedCsv(kReference + "features_used.csv"));
  int exact = 0;
  for (const std::string& held_out : kSites) {
    SCOPED_TRACE(held_out);
    for (const std::string harmonization : {"none", "combat"}) {
      const study::FitKey key = Key(harmonization, held_out);
      const auto missing = Dropped(*results_, key, "missing");
      EXPECT_EQ(missing.size(), 5U);
      for (const std::string& name : used) EXPECT_FALSE(missing.contains(name)) << name;
      EXPECT_TRUE(Dropped(*results_, key, "constant").empty());
      auto dropped = Dropped(*results_, key, "duplicate of ");
      for (std::size_t i = 0; i < duplicates.row_count(); ++i) {
        const auto found = dropped.find(std::string(duplicates.Cell(i, 0)));
        ASSERT_NE(found, dropped.end()) << duplicates.Cell(i, 0);
        EXPECT_EQ(found->second, duplicates.Cell(i, 1));
        dropped.erase(found);
      }
      EXPECT_LE(dropped.size(), 2U);
      exact += dropped.empty() ? 1 : 0;
      for (const auto& [name, first] : dropped) {  // equal up to scale in the training rows
        std::vector<PooledRows> parts;
        for (const auto& [site, rows] : *rows_) {
          if (site != held_out) parts.push_back(rows);
        }
        const PooledRows pooled = Stack(parts);
        const auto at = [&pooled](const std::string& wanted) {
          return std::find(pooled.names.begin(), pooled.names.end(), wanted) - pooled.names.begin();
        };
        ASSERT_LT(at(name), pooled.x.cols()) << name;
        ASSERT_LT(at(first), pooled.x.cols()) << first;
        Eigen::MatrixXd pair(pooled.x.rows(), 2);
        pair << pooled.x.col(at(name)), pooled.x.col(at(first));
        const Standardised s = Standardise(pair);
        const long double r = s.z.col(0).dot(s.z.col(1)) / static_cast<long double>(pair.rows());
        EXPECT_GE(static_cast<double>(std::fabs(r)), 1 - 1e-8) << name << " and " << first;
      }
    }
  }
  EXPECT_EQ(exact, 6);  // Maastro, Moffitt, M-SPORE: exactly the reference's 805 columns
}

TEST_F(Lung6Study, LambdasAndExternalAucsAreThoseOfGlmnetAndPRoc) {
  auto reference = ReadReferenceAucs(kReference + "external_auc_lasso_rf.csv", "lasso_lambda_min");
  ASSERT_EQ(reference.size(), kSites.size());
  for (const std::string site : {"HarvardRT", "Maastro", "Moffitt", "M-SPORE"}) {
    SCOPED_TRACE(site);
    const study::ResultRow& row = RowOf(*results_, "none", site);
    EXPECT_NEAR(row.lambda / reference[site].lambda, 1, 1e-10);
    EXPECT_NEAR(row.external_auc, reference[site].external, 1e-12);
  }
  const study::ResultRow& radboud = RowOf(*results_, "none", "Radboud");
  EXPECT_NEAR(radboud.lambda / 0.015869938085687, 1, 1e-10);
  EXPECT_TRUE(Prints(radboud.external_auc, 0.531015, 6));
  const study::ResultRow& mumc = RowOf(*results_, "none", "MUMC");
  EXPECT_NEAR(mumc.lambda / 0.018295248472703, 1, 1e-10);
  EXPECT_TRUE(Prints(mumc.external_auc, 0.745443, 6));
}

// All 805 columns, those included that the fit dropped as duplicates: their coefficient is 0, and
// the conditions hold for them too.
TEST_F(Lung6Study, EveryModelIsTheOptimumOnThePooledRowsOfItsTrainingCenters) {
  for (const std::string& held_out : kSites) {
    SCOPED_TRACE(held_out);
    std::vector<PooledRows> parts;
    for (const auto& [site, rows] : *rows_) {
      if (site != held_out) parts.push_back(rows);
    }
    ExpectOptimum(Key("none", held_out), Stack(parts));
  }
}

TEST_F(Lung6Study, ExternalAucsAndVariancesAreThoseOverAllPairs) {
  for (const std::string& held_out : kSites) {
    SCOPED_TRACE(held_out);
    ExpectExternalAuc(Key("none", held_out), rows_->at(held_out));
  }
}

TEST_F(Lung6Study, WithComBatModelsAreTheOptimumOnTheRowsThatPooledComBatHarmonizes) {
  for (const std::string& held_out : kSites) {
    SCOPED_TRACE(held_out);
    const study::FitKey key = Key("combat", held_out);
    const auto dropped = Dropped(*results_, key, "duplicate of ");
    std::vector<PooledRows> parts;
    for (const auto& [site, rows] : *rows_) {
      if (site != held_out) parts.push_back(Select(rows, dropped));
    }
    const PooledCombat combat = FitPooledCombat(parts);
    for (PooledRows& part : parts) part.x = HarmonizedMember(combat, part.x);
    ExpectOptimum(key, Stack(parts));
    PooledRows home = Select(rows_->at(held_out), dropped);
    home.x = HarmonizedHeldOut(combat, home.x);
    ExpectExternalAuc(key, home);
  }
}

}  // namespace
}  // namespace consilium
