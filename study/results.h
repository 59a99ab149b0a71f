// Everything that the computation of a study yields, as plain values: what report.json, the tables
// and report.html are written from, and nothing else. Definitions of the numbers, with their
// sources, are in docs/formats/report.md; letters (a)-(d) below are its sections.
//
// Rules for whoever fills it. A number that is not defined is NaN (the report writes null), never 0
// and never a guess; `reason` says why. Two runs of one study fill the same values in the same
// order: rows in the order models, feature sets, harmonizations (as the study file writes them),
// held-out centers (ascending by name). Nothing that depends on the run (times, hosts, masks on or
// off) belongs here.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "federation/cohort.h"

namespace consilium::study {

inline constexpr double kNotDefined = std::numeric_limits<double>::quiet_NaN();

// Two-sided unless its field says otherwise; both limits NaN when the interval is not defined.
struct Interval {
  double lower = kNotDefined;
  double upper = kNotDefined;
};

enum class RowStatus {
  kOk,        // "ok": every number of the row that is defined stands in it
  kTooFew,    // "too few": fewer than 5 events or non-events at the held-out center
  kOneClass,  // "one class": no event or no non-event
  kMissing,   // "missing": the held-out center did not answer
  kNotRun,    // "not run": the fit was not made, the center not asked; `reason` says why
};

[[nodiscard]] constexpr std::string_view Name(RowStatus status) {
  switch (status) {
    case RowStatus::kOk:
      return "ok";
    case RowStatus::kTooFew:
      return "too few";
    case RowStatus::kOneClass:
      return "one class";
    case RowStatus::kMissing:
      return "missing";
    case RowStatus::kNotRun:
      return "not run";
  }
  return "not run";
}

// What was fitted, and on whom not. One fit may score several held-out centers (the named design);
// `held_out` of a FitKey then joins their names, ascending, with '+'. Rows per center have one
// name.
struct FitKey {
  std::string model;
  std::string features;
  std::string harmonization;
  std::string held_out;
  friend auto operator<=>(const FitKey&, const FitKey&) = default;
};

// One fit scored at one held-out center h. T: the fit's training centers.
struct ResultRow {
  FitKey key;               // held_out: h
  std::string institution;  // of h
  std::string lambda_rule;  // "lambda.min" | "lambda.1se"; empty for models without a lambda
  bool primary = false;     // everything else is exploratory
  RowStatus status = RowStatus::kOk;
  std::string reason;          // why a number is absent or the center does not count; empty if none
  std::int64_t n = 0;          // cases of h that were scored
  std::int64_t events = 0;     // -1: withheld by the center, below the minimum ("<5")
  std::int64_t nonevents = 0;  // likewise
  double internal_auc = kNotDefined;               // (a) within centers, over T
  Interval internal_auc_ci;                        // 95 %, logit scale
  double internal_auc_pooled = kNotDefined;        // "includes differences between centers"
  double internal_auc_pooled_bound = kNotDefined;  // half width of what binning scores can change
  double external_auc = kNotDefined;               // (b)
  Interval external_auc_ci;                        // 95 %, logit scale, DeLong's variance
  Interval external_auc_ci_wald;                   // 95 %, plain DeLong, as pROC prints it
  double degradation = kNotDefined;   // (c) internal - external; positive: worse abroad
  Interval degradation_ci;            // 95 %, MOVER
  double lambda = kNotDefined;        // chosen
  std::int64_t nonzero = -1;          // coefficients other than the intercept; -1: no such count
  double kkt_residual = kNotDefined;  // of the chosen fit
  std::int64_t path_length = -1;      // lambdas that were fitted; -1: no path
  bool counts = false;                // (d) another institution, untouched, m and n >= 10
  bool single_row_decides = false;    // without one row lambda.min would be 1.5 times another
  std::optional<double> true_external_auc;  // generated studies only
  // "path ended at lambda 41 of 100: ...": its fit did not converge there, and the lambda was
  // chosen among those before. Empty: the path ended by its own rules.
  std::string path_ended;
};

// One model x features x harmonization over its held-out centers; pooled numbers need k >= 3.
struct SummaryRow {
  std::string model;
  std::string features;
  std::string harmonization;
  std::string lambda_rule;
  bool primary = false;
  std::int64_t k = 0;                  // centers in the random-effects model
  double expit_mu = kNotDefined;       // external AUC of an average center
  Interval ci;                         // 95 %, REML, Hartung-Knapp never narrower than z
  Interval prediction_interval;        // 95 %, k - 1 degrees of freedom: a new center
  Interval prediction_interval_k2;     // 95 %, k - 2 degrees of freedom
  double tau2 = kNotDefined;           // logit scale
  double i2 = kNotDefined;             // percent
  double mean_internal = kNotDefined;  // mean over held-out centers of A_int(T_h)
  double delta = kNotDefined;          // mean_internal - expit_mu
  Interval delta_ci95;
  Interval delta_ci90;
  std::string reason;  // why pooled numbers are absent
};

enum class CriterionStatus { kPass, kFail, kOpen };
[[nodiscard]] constexpr std::string_view Name(CriterionStatus status) {
  return status == CriterionStatus::kPass   ? "pass"
         : status == CriterionStatus::kFail ? "fail"
                                            : "open";
}

struct Criterion {
  std::string name;   // "C1".."C4"
  std::string title;  // "enough centers and patients"
  CriterionStatus status = CriterionStatus::kOpen;
  std::string sentence;  // what was found, against what was required
};

// (d), for the pre-registered primary only.
struct Verdict {
  std::string word = "NOT ASSESSED";   // READY | NOT READY | INSUFFICIENT EVIDENCE | NOT ASSESSED |
                                       // PROCEDURE TRANSPORTS
  std::string sentence;                // the one that a radiologist reads first
  std::vector<Criterion> criteria;     // C1..C4 in order; empty when NOT ASSESSED
  std::vector<std::string> sentences;  // everything else that must be said, in order
};

struct RocPoint {
  double false_positive_rate = 0;
  double true_positive_rate = 0;
};
// Merged to the study's minimum cell before it left the center.
struct RocCurve {
  FitKey key;
  std::vector<RocPoint> points;  // ascending, (0, 0) and (1, 1) included
};

struct CalibrationGroup {
  std::int64_t n = 0;
  std::int64_t events = 0;
  double mean_risk = kNotDefined;
};
struct CalibrationRow {
  FitKey key;
  std::int64_t n = 0;
  double observed = kNotDefined;  // events
  double expected = kNotDefined;  // sum of the predicted risks
  double oe = kNotDefined;        // observed / expected
  Interval oe_ci;
  double citl = kNotDefined;  // calibration in the large: intercept with the slope fixed at 1
  Interval citl_ci;
  double intercept = kNotDefined;  // of the regression of the outcome on the linear predictor
  Interval intercept_ci;
  double slope = kNotDefined;
  Interval slope_ci;
  double brier = kNotDefined;
  Interval brier_ci;
  std::vector<CalibrationGroup>
      groups;  // ascending by risk, each at least the minimum cell; may be empty
  std::string reason;
};

struct NetBenefitPoint {
  double threshold = kNotDefined;  // probability at which one would treat
  double model = kNotDefined;      // net benefit per case
  double treat_all = kNotDefined;  // treat none is 0
};
struct NetBenefitCurve {
  FitKey key;
  std::vector<NetBenefitPoint> points;  // ascending by threshold
};

// A pre-registered threshold at one center (key.held_out) or over centers (key.held_out empty).
struct NetBenefitTest {
  FitKey key;
  double threshold = kNotDefined;
  std::int64_t k = 0;                       // centers that it rests on
  double against_none = kNotDefined;        // mean of T (y - (1 - y) w)
  double against_none_lower = kNotDefined;  // one-sided 95 %
  double against_all = kNotDefined;         // mean of (T - 1)(y - (1 - y) w)
  double against_all_lower = kNotDefined;   // one-sided 95 %
  CriterionStatus status = CriterionStatus::kOpen;
  std::string sentence;  // "Net benefit not distinguishable from treat-all at 0.20."
};

struct Coefficient {
  FitKey key;
  double lambda = kNotDefined;
  std::string term;        // "(Intercept)" or a column of the study
  double coefficient = 0;  // on the scale on which the column came in, after harmonization
};

struct CvPoint {
  double lambda = kNotDefined;
  double cvm = kNotDefined;   // mean deviance per case over folds
  double cvsd = kNotDefined;  // its standard error
  std::int64_t nonzero = 0;   // in the fit on all training rows
};
struct CvCurve {
  FitKey key;
  std::vector<CvPoint> points;  // descending by lambda
  double lambda_min = kNotDefined;
  double lambda_1se = kNotDefined;
};

// A column of the study that a fit could not use.
struct DroppedFeature {
  FitKey key;
  std::string feature;
  std::string reason;  // "missing", "constant", "duplicate of X"
};

struct SiteFlow {
  std::string institution;
  std::string role;  // "training", "held out", "training and held out in turn"
  std::vector<federation::FlowStep> steps;
};

// What left a site, in numbers. Logical words of its accepted answers: the same with masks on or
// off.
struct SiteDisclosure {
  std::int64_t bytes_up = 0;
  std::int64_t answers = 0;
  std::int64_t equations = 0;  // numbers of sums that its rows entered, as its gate counts them
};

struct Provenance {
  std::string study;  // its name
  std::string title;
  std::string study_digest;  // 64 hexadecimal digits
  std::string engine_version;
  std::vector<std::string> roster;  // sites, ascending
  std::uint64_t seed = 0;
  std::string policy;  // "private" | "public-data"
  std::string design;  // "named held-out centers" | "leave-one-center-out"
  std::string outcome;
  std::string event;    // in words
  std::string primary;  // "lasso / combined / combat / lambda.min"; empty: none was registered
  double margin = kNotDefined;
  double auc_floor = kNotDefined;
  std::vector<double> thresholds;
  std::int64_t folds = 0;
  std::string tuning;  // "reused" | "nested"
  std::int64_t min_cell = 0;
  std::int64_t min_sites = 0;
  std::string curvature;  // "strict" | "fast"
};

struct Results {
  Provenance provenance;
  Verdict verdict;
  std::vector<ResultRow> rows;
  std::vector<SummaryRow> summary;
  std::vector<RocCurve> roc;
  std::vector<CalibrationRow> calibration;
  std::vector<NetBenefitCurve> net_benefit_curves;
  std::vector<NetBenefitTest> net_benefit_tests;
  std::vector<Coefficient> coefficients;
  std::vector<CvCurve> cv;
  std::vector<DroppedFeature> dropped_features;
  std::map<std::string, SiteFlow> flow;  // by site
  std::int64_t rounds = 0;
  std::map<std::string, SiteDisclosure> disclosure;  // by site
  std::vector<std::string> disclosure_sentences;     // "Leave-one-center-out discloses ..."
};

}  // namespace consilium::study
