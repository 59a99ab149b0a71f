// Validation statistics against R (pROC 1.18.0, metafor 3.8.1, rms 6.5.0) on real predictions: four
// hospitals, 740 patients (reference/learning/metrics_heart). Counts and AUCs are the same rational
// numbers rounded once, so 1e-12 only leaves room for the other program's order of sums; iterative
// results (REML, logistic fits) carry the tolerance at which the reference was solved.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/portable_math.h"
#include "learning/auc.h"
#include "learning/calibration.h"
#include "learning/degradation.h"
#include "learning/net_benefit.h"
#include "learning/random_effects.h"
#include "learning/verdict.h"
#include "tests/support/reference_data.h"

namespace consilium::learning {
namespace {

using testing_support::Number;
using testing_support::ReadShared;
using testing_support::ReadSharedCsv;

const std::string kFolder = "reference/learning/metrics_heart/";

std::string Text(const CsvTable& table, std::size_t row, const std::string& column) {
  return std::string(table.Cell(row, *table.Column(column)));
}

struct Scores {
  std::vector<double> score;
  std::vector<double> outcome;
};

// Of one center, or of "ALL".
Scores ScoresOf(const CsvTable& table, const std::string& center, const std::string& column) {
  Scores scores;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    if (center != "ALL" && Text(table, row, "centre") != center) continue;
    scores.score.push_back(Number(table, row, column));
    scores.outcome.push_back(Number(table, row, "y"));
  }
  return scores;
}

// The reference leaves a cell empty where the figure is not defined.
void ExpectSame(const std::optional<double>& value, double reference, double tolerance,
                const std::string& what) {
  ASSERT_EQ(value.has_value(), !std::isnan(reference)) << what;
  if (!value) return;
  EXPECT_NEAR(*value, reference, tolerance * (1 + std::fabs(reference))) << what;
}

TEST(LearningMetricsReference, AucsAndDeLongVariancesAreThoseOfTheReference) {
  CONSILIUM_NEEDS_SHARED(kFolder + "scores.csv");
  const CsvTable scores = ReadSharedCsv(kFolder + "scores.csv");
  for (const std::string name : {"A", "B", "A1"}) {
    const CsvTable reference = ReadSharedCsv(kFolder + "auc_score_" + name + ".csv");
    ASSERT_EQ(reference.row_count(), 5);
    for (std::size_t row = 0; row < reference.row_count(); ++row) {
      const std::string center = Text(reference, row, "centre");
      const std::string what = name + " at " + center;
      const Scores rows = ScoresOf(scores, center, name);
      const auto auc = ComputeAuc(rows.score, rows.outcome);
      ASSERT_TRUE(auc.has_value()) << what;
      EXPECT_EQ(static_cast<double>(auc->events + auc->nonevents), Number(reference, row, "n"));
      EXPECT_EQ(static_cast<double>(auc->events), Number(reference, row, "n_pos"));
      EXPECT_NEAR(auc->u, Number(reference, row, "mann_whitney_u"), 1e-9) << what;
      ExpectSame(AucValue(*auc), Number(reference, row, "auc"), 1e-12, what);
      ExpectSame(AucVariance(*auc), Number(reference, row, "var_delong"), 1e-12, what);
      const auto defined = [](double value, bool is) {
        return is ? std::optional<double>(value) : std::nullopt;
      };
      ExpectSame(defined(auc->s10, auc->events > 1 && !std::isnan(Number(reference, row, "s10"))),
                 Number(reference, row, "s10"), 1e-12, what);
      ExpectSame(
          defined(auc->s01, auc->nonevents > 1 && !std::isnan(Number(reference, row, "s01"))),
          Number(reference, row, "s01"), 1e-12, what);
      const auto logit = AucLogitInterval(*auc);
      const auto wald = AucWaldInterval(*auc);
      ASSERT_EQ(logit.has_value(), center != "switzerland");
      if (!logit) continue;
      EXPECT_NEAR(logit->low, Number(reference, row, "ci_lo_logit"), 1e-12) << what;
      EXPECT_NEAR(logit->high, Number(reference, row, "ci_hi_logit"), 1e-12) << what;
      EXPECT_NEAR(wald->low, Number(reference, row, "ci_lo_wald"), 1e-12) << what;
      EXPECT_NEAR(wald->high, Number(reference, row, "ci_hi_wald"), 1e-12) << what;
      EXPECT_NEAR(wald->low, Number(reference, row, "pROC_ci_lo"), 1e-12) << what;
    }
  }
}

TEST(LearningMetricsReference, PairedDeLongTestsAreThoseOfProc) {
  CONSILIUM_NEEDS_SHARED(kFolder + "delong_paired_A_vs_B.csv");
  const CsvTable scores = ReadSharedCsv(kFolder + "scores.csv");
  const CsvTable reference = ReadSharedCsv(kFolder + "delong_paired_A_vs_B.csv");
  ASSERT_EQ(reference.row_count(), 5);
  for (std::size_t row = 0; row < reference.row_count(); ++row) {
    const std::string center = Text(reference, row, "centre");
    const Scores a = ScoresOf(scores, center, "A");
    const Scores b = ScoresOf(scores, center, "B");
    const auto paired = ComputePairedAuc(a.score, b.score, a.outcome);
    ASSERT_TRUE(paired.has_value());
    const auto difference = DifferenceOfAucs(*paired);
    ASSERT_EQ(difference.has_value(), !std::isnan(Number(reference, row, "z"))) << center;
    if (!difference) continue;
    EXPECT_NEAR(difference->value,
                Number(reference, row, "auc_A") - Number(reference, row, "auc_B"), 1e-12);
    EXPECT_NEAR(difference->z, Number(reference, row, "z"), 1e-11) << center;
    EXPECT_NEAR(difference->p, Number(reference, row, "p"), 1e-11) << center;
  }
}

TEST(LearningMetricsReference, UnpairedDifferenceOfTwoCentersFollowsFromTheirComponents) {
  CONSILIUM_NEEDS_SHARED(kFolder + "delong_unpaired_first_two_centres.json");
  const CsvTable scores = ReadSharedCsv(kFolder + "scores.csv");
  const auto reference =
      nlohmann::json::parse(ReadShared(kFolder + "delong_unpaired_first_two_centres.json"));
  const Scores a = ScoresOf(scores, reference["centre_1"], "A");
  const Scores b = ScoresOf(scores, reference["centre_2"], "A");
  const AucComponents first = *ComputeAuc(a.score, a.outcome);
  const AucComponents second = *ComputeAuc(b.score, b.outcome);
  const double d = (*AucValue(first) - *AucValue(second)) /
                   std::sqrt(*AucVariance(first) + *AucVariance(second));
  EXPECT_NEAR(d, reference["D"].get<double>(), 1e-11);
}

TEST(LearningMetricsReference, RandomEffectsAreThoseOfMetafor) {
  CONSILIUM_NEEDS_SHARED(kFolder + "meta_analysis.json");
  const auto reference = nlohmann::json::parse(ReadShared(kFolder + "meta_analysis.json"));
  int compared = 0;
  for (const auto& item : reference.items()) {
    const std::string& name = item.key();
    const nlohmann::json& entry = item.value();
    RandomEffectsOptions options;
    if (name.find("REML") != std::string::npos) {
      options.method = TauMethod::kReml;
    } else if (name.find("DL") != std::string::npos) {
      options.method = TauMethod::kDerSimonianLaird;
    } else if (name.find("FE") != std::string::npos) {
      options.method = TauMethod::kFixedEffect;
    } else {
      continue;  // Paule-Mandel is not offered; the k - 2 interval is compared below
    }
    options.test = name.ends_with("HK") ? MeanTest::kHartungKnapp : MeanTest::kNormal;
    std::vector<CenterEffect> effects;
    for (std::size_t i = 0; i < entry["yi"].size(); ++i) {
      effects.push_back({entry["yi"][i].get<double>(), entry["vi"][i].get<double>()});
    }
    const auto fit = CombineEffects(effects, options);
    ASSERT_TRUE(fit.has_value()) << name;
    const auto near = [&](double value, const nlohmann::json& wanted, const char* what) {
      EXPECT_NEAR(value, wanted.get<double>(), 1e-9) << name << " " << what;
    };
    near(fit->mu, entry["mu"], "mu");
    near(fit->se, entry["se"], "se");
    near(fit->interval.low, entry["ci"][0], "ci");
    near(fit->interval.high, entry["ci"][1], "ci");
    near(fit->tau2, entry["tau2"], "tau2");
    if (entry.contains("Q")) {
      near(fit->q, entry["Q"], "Q");
      near(fit->q_p, entry["Q_p"], "Q_p");
      EXPECT_NEAR(fit->i2, entry["I2"].get<double>() / 100, 1e-9) << name << " I2";
      near(fit->h2, entry["H2"], "H2");
      if (entry["pi"][0].is_number()) {
        near(fit->prediction->low, entry["pi"][0], "pi");
        near(fit->prediction->high, entry["pi"][1], "pi");
      }
    }
    if (fit->se_tau2 && entry.contains("se_tau2")) near(*fit->se_tau2, entry["se_tau2"], "se_tau2");
    if (name == "logit_REML_HK") {
      near(fit->prediction_hts->low, reference["pi_HTS_k_minus_2"]["logit"][0], "hts");
      near(fit->prediction_hts->high, reference["pi_HTS_k_minus_2"]["logit"][1], "hts");
      // These centers differ by more than chance: the guard does nothing, "adhoc" equals "knha".
      const auto guarded = CombineEffects(effects);
      EXPECT_EQ(guarded->se, fit->se);
    }
    ++compared;
  }
  EXPECT_EQ(compared, 12);  // logit and raw x (REML, DL) x (z, HK), two fixed-effect, O/E and slope
}

TEST(LearningMetricsReference, NetBenefitOfEveryCenterAndThresholdIsThatOfTheReference) {
  CONSILIUM_NEEDS_SHARED(kFolder + "dca_by_centre.csv");
  const CsvTable scores = ReadSharedCsv(kFolder + "scores.csv");
  for (const std::string file : {"dca_by_centre.csv", "dca_pooled.csv"}) {
    const CsvTable reference = ReadSharedCsv(kFolder + file);
    ASSERT_GE(reference.row_count(), 198);
    for (std::size_t row = 0; row < reference.row_count(); ++row) {
      const std::string center = file == "dca_pooled.csv" ? "ALL" : Text(reference, row, "centre");
      const Scores rows = ScoresOf(scores, center, Text(reference, row, "model"));
      const std::vector<double> threshold = {Number(reference, row, "threshold")};
      const auto counts = CountAtThresholds(rows.score, rows.outcome, threshold);
      ASSERT_TRUE(counts.has_value());
      const ThresholdCounts& at = counts->front();
      const std::string what = center + " at " + std::to_string(threshold[0]);
      ASSERT_EQ(static_cast<double>(at.rows), Number(reference, row, "n")) << what;
      ASSERT_EQ(static_cast<double>(at.true_positives), Number(reference, row, "tp")) << what;
      ASSERT_EQ(static_cast<double>(at.false_positives), Number(reference, row, "fp")) << what;
      ExpectSame(NetBenefit(at), Number(reference, row, "net_benefit"), 1e-12, what);
      ExpectSame(NetBenefitOfTreatingAll(at), Number(reference, row, "net_benefit_all"), 1e-12,
                 what);
      ExpectSame(InterventionsAvoidedPer100(at),
                 Number(reference, row, "net_interventions_avoided_per_100"), 1e-10, what);
    }
  }
}

TEST(LearningMetricsReference, SensitivityAndSpecificityHaveWilsonsIntervals) {
  CONSILIUM_NEEDS_SHARED(kFolder + "sens_spec.csv");
  const Scores rows = ScoresOf(ReadSharedCsv(kFolder + "scores.csv"), "ALL", "A");
  const CsvTable reference = ReadSharedCsv(kFolder + "sens_spec.csv");
  ASSERT_EQ(reference.row_count(), 4);
  for (std::size_t row = 0; row < reference.row_count(); ++row) {
    const std::vector<double> threshold = {Number(reference, row, "threshold")};
    const auto counts = CountAtThresholds(rows.score, rows.outcome, threshold);
    ASSERT_TRUE(counts.has_value());
    const auto sensitivity = Sensitivity(counts->front());
    const auto specificity = Specificity(counts->front());
    EXPECT_EQ(static_cast<double>(counts->front().true_positives), Number(reference, row, "tp"));
    EXPECT_EQ(static_cast<double>(counts->front().false_positives), Number(reference, row, "fp"));
    EXPECT_NEAR(sensitivity->value, Number(reference, row, "sens"), 1e-12);
    EXPECT_NEAR(sensitivity->interval.low, Number(reference, row, "sens_lo"), 1e-12);
    EXPECT_NEAR(sensitivity->interval.high, Number(reference, row, "sens_hi"), 1e-12);
    EXPECT_NEAR(specificity->value, Number(reference, row, "spec"), 1e-12);
    EXPECT_NEAR(specificity->interval.low, Number(reference, row, "spec_lo"), 1e-12);
    EXPECT_NEAR(specificity->interval.high, Number(reference, row, "spec_hi"), 1e-12);
  }
}

TEST(LearningMetricsReference, CalibrationByCenterIsThatOfRms) {
  CONSILIUM_NEEDS_SHARED(kFolder + "calibration_by_centre.csv");
  const CsvTable scores = ReadSharedCsv(kFolder + "scores.csv");
  const CsvTable reference = ReadSharedCsv(kFolder + "calibration_by_centre.csv");
  ASSERT_EQ(reference.row_count(), 4);
  for (std::size_t row = 0; row < reference.row_count(); ++row) {
    const std::string center = Text(reference, row, "group");
    Scores rows = ScoresOf(scores, center, "A");
    for (double& score : rows.score) score = Logit(score);
    const auto calibration = Calibrate(rows.score, rows.outcome);
    ASSERT_TRUE(calibration.has_value()) << center;
    const auto near = [&](double value, const char* column) {
      EXPECT_NEAR(value, Number(reference, row, column), 1e-8) << center << " " << column;
    };
    near(static_cast<double>(calibration->rows), "n");
    near(static_cast<double>(calibration->events), "events");
    near(calibration->expected, "expected");
    near(ObservedOverExpected(*calibration)->value, "O_over_E");
    near(calibration->in_the_large->value, "citl");
    near(calibration->in_the_large->se, "citl_se");
    near(calibration->intercept->value, "cal_intercept");
    near(calibration->intercept->se, "cal_intercept_se");
    near(calibration->slope->value, "cal_slope");
    near(calibration->slope->se, "cal_slope_se");
    near(calibration->brier, "brier");
    near(calibration->brier_max, "brier_max");
    near(*calibration->scaled_brier, "scaled_brier");
  }
}

TEST(LearningMetricsReference, MergedHistogramAucAndItsBoundAreThoseOfTheReference) {
  CONSILIUM_NEEDS_SHARED(kFolder + "auc_histogram_1024.json");
  const CsvTable scores = ReadSharedCsv(kFolder + "scores.csv");
  const auto reference = nlohmann::json::parse(ReadShared(kFolder + "auc_histogram_1024.json"));
  ScoreHistogram sum;
  for (const std::string center : {"cleveland", "hungarian", "switzerland", "va"}) {
    const Scores rows = ScoresOf(scores, center, "A");
    const auto part = HistogramOfScores(rows.score, rows.outcome, reference["bins"].get<int>());
    ASSERT_TRUE(part.has_value());
    sum.events.resize(part->events.size());
    sum.nonevents.resize(part->events.size());
    for (std::size_t bin = 0; bin < part->events.size(); ++bin) {
      sum.events[bin] += part->events[bin];
      sum.nonevents[bin] += part->nonevents[bin];
    }
  }
  const auto auc = AucOfHistogram(sum);
  ASSERT_TRUE(auc.has_value());
  EXPECT_NEAR(auc->value, reference["auc_hist"].get<double>(), 1e-12);
  EXPECT_NEAR(auc->error_bound, reference["max_error_bound_half_tied_mass"].get<double>(), 1e-12);
  EXPECT_LE(std::fabs(auc->value - reference["auc_exact"].get<double>()), auc->error_bound);
}

// The published check numbers of the definitions (three decimals), from the heart hospitals' lasso
// at lambda.min: A_int and V_int by R's cv.glmnet(keep = TRUE) and pROC's variances, A_h and V_h
// likewise.
struct CheckCenter {
  const char* name;
  double internal;
  double internal_variance;
  std::int64_t events;
  std::int64_t nonevents;
  double external;
  double external_variance;
  double delta, low, high;
};
constexpr CheckCenter kHeart[] = {
    {"cleveland", 0.8573464218, 0.0003790790347, 139, 164, 0.8590103527, 0.000466974054, -0.002,
     -0.058, 0.057},
    {"hungarian", 0.8490104773, 0.0003578500304, 98, 163, 0.8737949167, 0.0005472088688, -0.025,
     -0.081, 0.038},
    {"va", 0.8755378075, 0.0002266222401, 101, 29, 0.7173096620, 0.002768197185, 0.158, 0.061,
     0.275},
};

std::vector<HeldOutCenter> HeartCenters() {
  std::vector<HeldOutCenter> centers;
  for (const CheckCenter& check : kHeart) {
    HeldOutCenter center;
    center.name = check.name;
    center.internal = InternalAuc{check.internal, check.internal_variance, {}, {}, {}};
    const auto m = static_cast<double>(check.events);
    const auto n = static_cast<double>(check.nonevents);
    center.external =
        AucComponents{check.events, check.nonevents, check.external * m * n,
                      0.5 * check.external_variance * m, 0.5 * check.external_variance * n};
    centers.push_back(center);
  }
  HeldOutCenter one_nonevent;
  one_nonevent.name = "switzerland";
  one_nonevent.internal = InternalAuc{0.8682942037, 0.0002013196274, {}, {}, {}};
  one_nonevent.external = AucComponents{45, 1, 41, 0.08, 0};
  centers.push_back(one_nonevent);
  return centers;
}

TEST(LearningMetricsReference, DegradationOfTheHeartHospitalsIsThePublishedOne) {
  const std::vector<HeldOutCenter> centers = HeartCenters();
  for (std::size_t i = 0; i < std::size(kHeart); ++i) {
    const auto at = DegradationAt(centers[i]);
    ASSERT_TRUE(at && at->interval) << kHeart[i].name;
    EXPECT_NEAR(at->delta, kHeart[i].delta, 0.0005) << kHeart[i].name;
    EXPECT_NEAR(at->interval->low, kHeart[i].low, 0.0005) << kHeart[i].name;
    EXPECT_NEAR(at->interval->high, kHeart[i].high, 0.0005) << kHeart[i].name;
  }
  const auto pooled = PoolDegradation(centers);
  ASSERT_TRUE(pooled.has_value());
  EXPECT_EQ(pooled->centers.size(), 3);  // not switzerland
  EXPECT_NEAR(pooled->auc.value, 0.829, 0.0005);
  EXPECT_NEAR(pooled->auc.interval.low, 0.561, 0.0005);
  EXPECT_NEAR(pooled->auc.interval.high, 0.948, 0.0005);
  EXPECT_NEAR(pooled->prediction.low, 0.294, 0.0005);
  EXPECT_NEAR(pooled->prediction.high, 0.983, 0.0005);
  EXPECT_NEAR(pooled->delta, 0.032, 0.0005);
  EXPECT_NEAR(pooled->delta_interval->low, -0.094, 0.0005);
  EXPECT_NEAR(pooled->delta_interval->high, 0.301, 0.0005);
  // R, metafor::rma(test = "adhoc"), to more digits.
  EXPECT_NEAR(pooled->auc.value, 0.828894, 1e-6);
  EXPECT_NEAR(pooled->logit_auc.tau2, 0.2292004385, 1e-8);
  EXPECT_NEAR(pooled->logit_auc.se, 0.3093543443, 1e-8);
}

TEST(LearningMetricsReference, TheHeartHospitalsVerdictIsInsufficientEvidence) {
  VerdictInput input;
  input.has_primary = true;
  input.leave_one_center_out = true;
  for (const HeldOutCenter& center : HeartCenters()) input.centers.push_back({center, {}});
  const auto verdict = Judge(input);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->word, VerdictWord::kInsufficientEvidence);
  EXPECT_NE(std::find(verdict->sentences.begin(), verdict->sentences.end(),
                      "The data are compatible with a fall between -0.07 and 0.20; a fall of 0.10 "
                      "cannot be excluded. This shows neither that the model holds nor that it "
                      "fails."),
            verdict->sentences.end());
}

}  // namespace
}  // namespace consilium::learning
