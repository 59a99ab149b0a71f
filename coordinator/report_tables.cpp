#include "coordinator/report_tables.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "base/csv.h"
#include "learning/interval.h"

namespace consilium::coordinator {
namespace {

using study::FitKey;
using study::Interval;

// A table of the report: base/csv.h with the cells that only reports have.
class TableWriter {
 public:
  explicit TableWriter(const std::vector<std::string>& header) { csv_.Row(header); }

  TableWriter& Text(std::string_view text) {
    csv_.Cell(text);
    return *this;
  }
  TableWriter& Number(double value) {
    return std::isfinite(value) ? Text(FormatNumber(value)) : Text("");
  }
  // A negative count does not exist: an empty field.
  TableWriter& Count(std::int64_t value) {
    return value >= 0 ? Text(fmt::format("{}", value)) : Text("");
  }
  TableWriter& Flag(bool value) { return Text(value ? "true" : "false"); }
  TableWriter& Range(const Interval& interval) {
    return Number(interval.lower).Number(interval.upper);
  }
  TableWriter& Key(const FitKey& key) {
    return Text(key.model).Text(key.features).Text(key.harmonization).Text(key.held_out);
  }
  void EndLine() { csv_.EndRow(); }
  [[nodiscard]] std::string Take() { return csv_.text(); }

 private:
  CsvWriter csv_;
};

std::string Coefficients(const study::Results& results) {
  TableWriter csv(
      {"model", "harmonization", "held_out", "lambda", "term", "coefficient", "features"});
  for (const study::Coefficient& row : results.coefficients) {
    csv.Text(row.key.model).Text(row.key.harmonization).Text(row.key.held_out);
    csv.Number(row.lambda).Text(row.term).Number(row.coefficient).Text(row.key.features).EndLine();
  }
  return csv.Take();
}

std::string Rows(const study::Results& results) {
  TableWriter csv({"model",
                   "features",
                   "harmonization",
                   "held_out",
                   "institution",
                   "lambda_rule",
                   "primary",
                   "status",
                   "reason",
                   "n",
                   "events",
                   "nonevents",
                   "internal_auc",
                   "internal_auc_lower",
                   "internal_auc_upper",
                   "internal_auc_pooled",
                   "internal_auc_pooled_bound",
                   "external_auc",
                   "external_auc_lower",
                   "external_auc_upper",
                   "external_auc_wald_lower",
                   "external_auc_wald_upper",
                   "degradation",
                   "degradation_lower",
                   "degradation_upper",
                   "lambda",
                   "nonzero",
                   "kkt_residual",
                   "path_length",
                   "counts",
                   "single_row_decides",
                   "true_external_auc",
                   "path_ended"});
  for (const study::ResultRow& row : results.rows) {
    csv.Key(row.key).Text(row.institution).Text(row.lambda_rule).Flag(row.primary);
    csv.Text(Name(row.status)).Text(row.reason);
    csv.Count(row.n).Count(row.events).Count(row.nonevents);
    csv.Number(row.internal_auc).Range(row.internal_auc_ci);
    csv.Number(row.internal_auc_pooled).Number(row.internal_auc_pooled_bound);
    csv.Number(row.external_auc).Range(row.external_auc_ci).Range(row.external_auc_ci_wald);
    csv.Number(row.degradation).Range(row.degradation_ci);
    csv.Number(row.lambda).Count(row.nonzero).Number(row.kkt_residual).Count(row.path_length);
    csv.Flag(row.counts).Flag(row.single_row_decides);
    csv.Number(row.true_external_auc.value_or(study::kNotDefined)).Text(row.path_ended).EndLine();
  }
  return csv.Take();
}

std::string Summary(const study::Results& results) {
  TableWriter csv({"model",
                   "features",
                   "harmonization",
                   "lambda_rule",
                   "primary",
                   "k",
                   "expit_mu",
                   "ci_lower",
                   "ci_upper",
                   "prediction_lower",
                   "prediction_upper",
                   "prediction_k2_lower",
                   "prediction_k2_upper",
                   "tau2",
                   "I2",
                   "mean_internal",
                   "delta",
                   "delta_ci95_lower",
                   "delta_ci95_upper",
                   "delta_ci90_lower",
                   "delta_ci90_upper",
                   "reason"});
  for (const study::SummaryRow& row : results.summary) {
    csv.Text(row.model).Text(row.features).Text(row.harmonization).Text(row.lambda_rule);
    csv.Flag(row.primary).Count(row.k).Number(row.expit_mu).Range(row.ci);
    csv.Range(row.prediction_interval).Range(row.prediction_interval_k2);
    csv.Number(row.tau2).Number(row.i2).Number(row.mean_internal);
    csv.Number(row.delta).Range(row.delta_ci95).Range(row.delta_ci90).Text(row.reason).EndLine();
  }
  return csv.Take();
}

std::string Roc(const study::Results& results) {
  TableWriter csv({"model", "features", "harmonization", "held_out", "false_positive_rate",
                   "true_positive_rate"});
  for (const study::RocCurve& curve : results.roc) {
    for (const study::RocPoint& point : curve.points) {
      csv.Key(curve.key).Number(point.false_positive_rate).Number(point.true_positive_rate);
      csv.EndLine();
    }
  }
  return csv.Take();
}

std::string Calibration(const study::Results& results) {
  TableWriter csv(
      {"model",       "features",  "harmonization",   "held_out",        "n",     "observed",
       "expected",    "oe",        "oe_lower",        "oe_upper",        "citl",  "citl_lower",
       "citl_upper",  "intercept", "intercept_lower", "intercept_upper", "slope", "slope_lower",
       "slope_upper", "brier",     "brier_lower",     "brier_upper",     "reason"});
  for (const study::CalibrationRow& row : results.calibration) {
    csv.Key(row.key).Count(row.n).Number(row.observed).Number(row.expected);
    csv.Number(row.oe).Range(row.oe_ci).Number(row.citl).Range(row.citl_ci);
    csv.Number(row.intercept).Range(row.intercept_ci).Number(row.slope).Range(row.slope_ci);
    csv.Number(row.brier).Range(row.brier_ci).Text(row.reason).EndLine();
  }
  return csv.Take();
}

std::string CalibrationGroups(const study::Results& results) {
  TableWriter csv({"model", "features", "harmonization", "held_out", "group", "n", "events",
                   "mean_risk", "observed_share", "observed_share_lower", "observed_share_upper"});
  for (const study::CalibrationRow& row : results.calibration) {
    std::int64_t number = 0;
    for (const study::CalibrationGroup& group : row.groups) {
      csv.Key(row.key).Count(++number).Count(group.n).Count(group.events).Number(group.mean_risk);
      csv.Number(static_cast<double>(group.events) / static_cast<double>(group.n));
      const auto wilson = learning::WilsonInterval(group.events, group.n);
      csv.Range(wilson ? Interval{wilson->low, wilson->high} : Interval{}).EndLine();
    }
  }
  return csv.Take();
}

std::string NetBenefit(const study::Results& results) {
  TableWriter csv(
      {"model", "features", "harmonization", "held_out", "threshold", "net_benefit", "treat_all"});
  for (const study::NetBenefitCurve& curve : results.net_benefit_curves) {
    for (const study::NetBenefitPoint& point : curve.points) {
      csv.Key(curve.key).Number(point.threshold).Number(point.model).Number(point.treat_all);
      csv.EndLine();
    }
  }
  return csv.Take();
}

std::string NetBenefitThresholds(const study::Results& results) {
  TableWriter csv({"model", "features", "harmonization", "held_out", "threshold", "k",
                   "against_none", "against_none_lower", "against_all", "against_all_lower",
                   "status", "sentence"});
  for (const study::NetBenefitTest& row : results.net_benefit_tests) {
    csv.Key(row.key).Number(row.threshold).Count(row.k);
    csv.Number(row.against_none).Number(row.against_none_lower);
    csv.Number(row.against_all).Number(row.against_all_lower);
    csv.Text(Name(row.status)).Text(row.sentence).EndLine();
  }
  return csv.Take();
}

std::string Cv(const study::Results& results) {
  TableWriter csv({"model", "features", "harmonization", "held_out", "lambda", "cvm", "cvsd",
                   "nonzero", "chosen"});
  for (const study::CvCurve& curve : results.cv) {
    for (const study::CvPoint& point : curve.points) {
      const bool is_min = point.lambda == curve.lambda_min;
      const bool is_1se = point.lambda == curve.lambda_1se;
      csv.Key(curve.key).Number(point.lambda).Number(point.cvm).Number(point.cvsd);
      csv.Count(point.nonzero);
      csv.Text(is_min && is_1se ? "lambda.min lambda.1se"
               : is_min         ? "lambda.min"
               : is_1se         ? "lambda.1se"
                                : "");
      csv.EndLine();
    }
  }
  return csv.Take();
}

std::string Dropped(const study::Results& results) {
  TableWriter csv({"model", "features", "harmonization", "held_out", "feature", "reason"});
  for (const study::DroppedFeature& row : results.dropped_features) {
    csv.Key(row.key).Text(row.feature).Text(row.reason).EndLine();
  }
  return csv.Take();
}

std::string Flow(const study::Results& results) {
  TableWriter csv({"site", "institution", "role", "step", "reason", "rows"});
  for (const auto& [site, flow] : results.flow) {
    std::int64_t number = 0;
    for (const federation::FlowStep& step : flow.steps) {
      csv.Text(site).Text(flow.institution).Text(flow.role).Count(++number);
      csv.Text(step.reason).Count(step.rows).EndLine();
    }
  }
  return csv.Take();
}

std::string Disclosure(const study::Results& results) {
  TableWriter csv({"site", "answers", "bytes_up", "equations"});
  for (const auto& [site, row] : results.disclosure) {
    csv.Text(site).Count(row.answers).Count(row.bytes_up).Count(row.equations).EndLine();
  }
  return csv.Take();
}

}  // namespace

std::vector<ReportTable> ReportTables(const study::Results& results) {
  return {
      {"coefficients.csv", Coefficients(results)},
      {"results.csv", Rows(results)},
      {"summary.csv", Summary(results)},
      {"roc.csv", Roc(results)},
      {"calibration.csv", Calibration(results)},
      {"calibration_groups.csv", CalibrationGroups(results)},
      {"net_benefit.csv", NetBenefit(results)},
      {"net_benefit_thresholds.csv", NetBenefitThresholds(results)},
      {"cv.csv", Cv(results)},
      {"dropped_features.csv", Dropped(results)},
      {"flow.csv", Flow(results)},
      {"disclosure.csv", Disclosure(results)},
  };
}

}  // namespace consilium::coordinator
