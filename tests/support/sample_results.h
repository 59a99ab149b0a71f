// Results as a study of six held-out hospitals would yield them: invented, plausible, and with
// every awkward case in it (a center too small, one that did not answer, numbers that are not
// defined).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "study/results.h"

namespace consilium::test_support {

inline study::Results SampleResults() {
  using study::CriterionStatus;
  using study::FitKey;
  using study::Interval;
  study::Results results;
  results.provenance = {
      .study = "sample-spine",
      .title = "Radiomics of lumbar metastases: death within two years",
      .study_digest = "9f2c0b7d51e84a6c3d1f0e9b8a7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c",
      .engine_version = "0.1.0",
      .roster = {"aachen", "basel", "cork", "dijon", "essen", "faro"},
      .seed = 20240917,
      .policy = "public-data",
      .design = "leave-one-center-out",
      .outcome = "death_2yr",
      .event = "death within two years of imaging",
      .primary = "lasso / combined / combat / lambda.min",
      .margin = 0.10,
      .auc_floor = 0.60,
      .thresholds = {0.2, 0.4},
      .folds = 10,
      .tuning = "reused",
      .min_cell = 5,
      .min_sites = 3,
      .curvature = "strict"};
  results.verdict = {
      .word = "INSUFFICIENT EVIDENCE",
      .sentence =
          "The data are compatible with a fall between -0.07 and 0.20; a fall of 0.10 cannot be "
          "excluded. This shows neither that the model holds nor that it fails.",
      .criteria = {{"C1", "enough centers and patients", CriterionStatus::kPass,
                    "4 centers count (minimum 3), with 236 events and 251 non-events (100 each)."},
                   {"C2", "small fall", CriterionStatus::kOpen,
                    "The upper 90 % limit of the fall is 0.17, not below the margin of 0.10."},
                   {"C3", "worth having", CriterionStatus::kFail,
                    "The lower 95 % limit of the average external AUC is 0.56, not above 0.60."},
                   {"C4", "useful", CriterionStatus::kOpen,
                    "Net benefit not distinguishable from treat-all at 0.20."}},
      .sentences = {"Insufficient evidence: 4 of 6 centers count; essen does not (3 events).",
                    "Leave-one-center-out: this supports the procedure; the shipped model has not "
                    "been validated outside its training centers.",
                    "Faro did not answer the scoring round and is reported as missing."}};

  const std::vector<std::string> centers = {"aachen", "basel", "cork", "dijon", "essen", "faro"};
  const std::vector<double> external = {0.71, 0.64, 0.58, 0.69, 0.0, 0.0};
  const std::vector<std::int64_t> sizes = {142, 87, 118, 140, 31, 0};
  const std::vector<std::string> terms = {"(Intercept)",
                                          "age",
                                          "original_shape_Sphericity",
                                          "wavelet-HLH_glcm_Imc2",
                                          "log-sigma-3-0-mm-3D_firstorder_Kurtosis",
                                          "original_glszm_ZoneEntropy",
                                          "wavelet-LLL_glrlm_RunVariance"};
  for (const std::string features : {"radiomics", "combined"}) {
    for (const std::string harmonization : {"none", "combat"}) {
      const double shift =
          (features == "combined" ? 0.03 : 0.0) + (harmonization == "combat" ? 0.02 : 0.0);
      const bool primary = features == "combined" && harmonization == "combat";
      for (std::size_t c = 0; c < centers.size(); ++c) {
        const FitKey key = {"lasso", features, harmonization, centers[c]};
        study::ResultRow row;
        row.key = key;
        row.institution = centers[c];
        row.lambda_rule = "lambda.min";
        row.primary = primary;
        row.n = sizes[c];
        row.events = sizes[c] * 48 / 100;
        row.nonevents = row.n - row.events;
        row.internal_auc = 0.712 + shift + 0.004 * static_cast<double>(c);
        row.internal_auc_ci = {row.internal_auc - 0.038, row.internal_auc + 0.036};
        row.internal_auc_pooled = row.internal_auc + 0.051;
        row.internal_auc_pooled_bound = 0.0004;
        row.lambda = 0.031 / static_cast<double>(c + 2);
        row.nonzero = 14 + static_cast<std::int64_t>(3 * c);
        row.kkt_residual = 3.1e-9;
        row.path_length = 61;
        row.single_row_decides = c == 2 && harmonization == "none";
        if (c == 4) {
          row.status = study::RowStatus::kTooFew;
          row.reason = "fewer than 5 events";
          row.events = -1;
        } else if (c == 5) {
          row.status = study::RowStatus::kMissing;
          row.reason = "no answer by the deadline of the scoring round";
          row.events = row.nonevents = 0;
        } else {
          row.external_auc = external[c] + shift;
          row.external_auc_ci = {row.external_auc - 0.09, row.external_auc + 0.08};
          row.external_auc_ci_wald = {row.external_auc - 0.086, row.external_auc + 0.086};
          row.degradation = row.internal_auc - row.external_auc;
          row.degradation_ci = {row.degradation - 0.09, row.degradation + 0.10};
          row.counts = true;
        }
        results.rows.push_back(row);

        study::CvCurve curve;
        curve.key = key;
        double lambda = 0.2;
        for (int i = 0; i < 61; ++i, lambda *= 0.93) {
          const double away = (i - 38) / 38.0;
          curve.points.push_back({lambda, 1.27 + 0.11 * away * away + 0.004 * double(c), 0.02,
                                  static_cast<std::int64_t>(i)});
          if (i == 38) curve.lambda_min = lambda;
          if (i == 24) curve.lambda_1se = lambda;
        }
        results.cv.push_back(curve);

        for (std::size_t t = 0; t < terms.size(); ++t) {
          const bool absent = t > 1 && (t + c) % 4 == 0;
          results.coefficients.push_back(
              {key, row.lambda, terms[t],
               absent ? 0.0 : (t % 2 == 0 ? -0.31 : 0.024) * (1.0 + 0.1 * double(c))});
        }
        results.dropped_features.push_back({key, "original_firstorder_RootMeanSquared",
                                            "duplicate of original_firstorder_Energy"});
        if (c == 0) {
          results.dropped_features.push_back({key, "original_ngtdm_Coarseness", "constant"});
        }
        if (c >= 4) continue;

        study::RocCurve roc = {key, {{0, 0}}};
        for (int i = 1; i < 12; ++i) {
          const double x = i / 12.0;
          const double bend = 2.2 * (row.external_auc - 0.5);
          roc.points.push_back({x, x + bend * x * (1 - x) * (i % 3 == 0 ? 1.25 : 1.45)});
        }
        roc.points.push_back({1, 1});
        results.roc.push_back(roc);

        study::CalibrationRow calibration;
        calibration.key = key;
        calibration.n = row.n;
        calibration.observed = static_cast<double>(row.events);
        calibration.expected = static_cast<double>(row.events) * (1.08 - 0.05 * double(c));
        calibration.oe = calibration.observed / calibration.expected;
        calibration.oe_ci = {calibration.oe - 0.16, calibration.oe + 0.19};
        calibration.citl = 0.12 - 0.1 * double(c);
        calibration.citl_ci = {calibration.citl - 0.34, calibration.citl + 0.34};
        calibration.intercept = calibration.citl - 0.02;
        calibration.intercept_ci = {calibration.intercept - 0.35, calibration.intercept + 0.35};
        calibration.slope = 0.82 - 0.07 * double(c);
        calibration.slope_ci = {calibration.slope - 0.4, calibration.slope + 0.4};
        calibration.brier = 0.224 + 0.006 * double(c);
        for (int g = 0; g < 5; ++g) {
          calibration.groups.push_back({row.n / 5, (row.n / 5) * (2 + g) / 9, 0.15 + 0.16 * g});
        }
        results.calibration.push_back(calibration);

        study::NetBenefitCurve benefit = {key, {}};
        for (int i = 1; i < 20; ++i) {
          const double t = i / 20.0;
          const double all = 0.48 - 0.52 * t / (1 - t);
          const double model = (all > 0 ? all : 0.0) + 0.09 * t * (1 - t) * (c == 2 ? -0.4 : 1.6);
          benefit.points.push_back({t, model, all});
        }
        results.net_benefit_curves.push_back(benefit);
      }
      study::SummaryRow summary = {.model = "lasso",
                                   .features = features,
                                   .harmonization = harmonization,
                                   .lambda_rule = "lambda.min",
                                   .primary = primary,
                                   .k = 4,
                                   .expit_mu = 0.655 + shift,
                                   .ci = {0.56 + shift, 0.74 + shift},
                                   .prediction_interval = {0.49 + shift, 0.80 + shift},
                                   .prediction_interval_k2 = {0.46 + shift, 0.82 + shift},
                                   .tau2 = 0.021,
                                   .i2 = 31.4,
                                   .mean_internal = 0.722 + shift,
                                   .delta = 0.067,
                                   .delta_ci95 = {-0.07, 0.20},
                                   .delta_ci90 = {-0.04, 0.17},
                                   .reason = ""};
      results.summary.push_back(summary);
      for (const double threshold : {0.2, 0.4}) {
        results.net_benefit_tests.push_back(
            {{"lasso", features, harmonization, ""},
             threshold,
             4,
             0.31,
             0.24,
             0.008,
             -0.003,
             CriterionStatus::kOpen,
             threshold < 0.3 ? "Net benefit not distinguishable from treat-all at 0.20."
                             : "Net benefit not distinguishable from treat-all at 0.40."});
      }
    }
  }
  for (std::size_t c = 0; c < centers.size(); ++c) {
    results.flow[centers[c]] = {centers[c],
                                "training and held out in turn",
                                {{"found", sizes[c] + 19},
                                 {"excluded: outcome missing", 11},
                                 {"excluded: no baseline scan", 8},
                                 {"used", sizes[c]}}};
    results.disclosure[centers[c]] = {48'211'904 + 1000 * static_cast<std::int64_t>(c), 131,
                                      1204 + static_cast<std::int64_t>(c)};
  }
  results.rounds = 131;
  results.disclosure_sentences = {
      "Leave-one-center-out discloses site-level moments: differences of totals with and without a "
      "center are that center's sums. Every center was told so and agreed."};
  return results;
}

}  // namespace consilium::test_support
