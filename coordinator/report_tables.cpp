#include "coordinator/report_tables.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <utility>

namespace consilium::coordinator {
namespace {

using study::FitKey;
using study::Interval;

// One line after another, field by field.
class CsvWriter {
 public:
  explicit CsvWriter(std::string_view header) : csv_(header) { csv_ += '\n'; }

  CsvWriter& Text(std::string_view text) {
    Separate();
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
      csv_ += text;
      return *this;
    }
    csv_ += '"';
    for (const char c : text) {
      if (c == '"') csv_ += '"';
      csv_ += c;
    }
    csv_ += '"';
    return *this;
  }
  CsvWriter& Number(double value) {
    Separate();
    if (std::isfinite(value)) csv_ += fmt::format("{}", value);
    return *this;
  }
  // A negative count does not exist: an empty field.
  CsvWriter& Count(std::int64_t value) {
    Separate();
    if (value >= 0) csv_ += fmt::format("{}", value);
    return *this;
  }
  CsvWriter& Flag(bool value) { return Text(value ? "true" : "false"); }
  CsvWriter& Range(const Interval& interval) {
    return Number(interval.lower).Number(interval.upper);
  }
  CsvWriter& Key(const FitKey& key) {
    return Text(key.model).Text(key.features).Text(key.harmonization).Text(key.held_out);
  }
  void EndLine() {
    csv_ += '\n';
    at_line_start_ = true;
  }
  [[nodiscard]] std::string Take() { return std::move(csv_); }

 private:
  void Separate() {
    if (!at_line_start_) csv_ += ',';
    at_line_start_ = false;
  }
  std::string csv_;
  bool at_line_start_ = true;
};

std::string Coefficients(const study::Results& results) {
  CsvWriter csv("model,harmonization,held_out,lambda,term,coefficient,features");
  for (const study::Coefficient& row : results.coefficients) {
    csv.Text(row.key.model).Text(row.key.harmonization).Text(row.key.held_out);
    csv.Number(row.lambda).Text(row.term).Number(row.coefficient).Text(row.key.features).EndLine();
  }
  return csv.Take();
}

std::string Rows(const study::Results& results) {
  CsvWriter csv(
      "model,features,harmonization,held_out,institution,lambda_rule,primary,status,reason,"
      "n,events,nonevents,internal_auc,internal_auc_lower,internal_auc_upper,internal_auc_pooled,"
      "internal_auc_pooled_bound,external_auc,external_auc_lower,external_auc_upper,"
      "external_auc_wald_lower,external_auc_wald_upper,degradation,degradation_lower,"
      "degradation_upper,lambda,nonzero,kkt_residual,path_length,counts,single_row_decides,"
      "true_external_auc");
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
    csv.Number(row.true_external_auc.value_or(study::kNotDefined)).EndLine();
  }
  return csv.Take();
}

std::string Summary(const study::Results& results) {
  CsvWriter csv(
      "model,features,harmonization,lambda_rule,primary,k,expit_mu,ci_lower,ci_upper,"
      "prediction_lower,prediction_upper,prediction_k2_lower,prediction_k2_upper,tau2,I2,"
      "mean_internal,delta,delta_ci95_lower,delta_ci95_upper,delta_ci90_lower,delta_ci90_upper,"
      "reason");
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
  CsvWriter csv("model,features,harmonization,held_out,false_positive_rate,true_positive_rate");
  for (const study::RocCurve& curve : results.roc) {
    for (const study::RocPoint& point : curve.points) {
      csv.Key(curve.key).Number(point.false_positive_rate).Number(point.true_positive_rate);
      csv.EndLine();
    }
  }
  return csv.Take();
}

std::string Calibration(const study::Results& results) {
  CsvWriter csv(
      "model,features,harmonization,held_out,n,observed,expected,oe,oe_lower,oe_upper,"
      "citl,citl_lower,citl_upper,intercept,intercept_lower,intercept_upper,"
      "slope,slope_lower,slope_upper,brier,brier_lower,brier_upper,reason");
  for (const study::CalibrationRow& row : results.calibration) {
    csv.Key(row.key).Count(row.n).Number(row.observed).Number(row.expected);
    csv.Number(row.oe).Range(row.oe_ci).Number(row.citl).Range(row.citl_ci);
    csv.Number(row.intercept).Range(row.intercept_ci).Number(row.slope).Range(row.slope_ci);
    csv.Number(row.brier).Range(row.brier_ci).Text(row.reason).EndLine();
  }
  return csv.Take();
}

std::string NetBenefit(const study::Results& results) {
  CsvWriter csv("model,features,harmonization,held_out,threshold,net_benefit,treat_all");
  for (const study::NetBenefitCurve& curve : results.net_benefit_curves) {
    for (const study::NetBenefitPoint& point : curve.points) {
      csv.Key(curve.key).Number(point.threshold).Number(point.model).Number(point.treat_all);
      csv.EndLine();
    }
  }
  return csv.Take();
}

std::string NetBenefitThresholds(const study::Results& results) {
  CsvWriter csv(
      "model,features,harmonization,held_out,threshold,k,against_none,against_none_lower,"
      "against_all,against_all_lower,status,sentence");
  for (const study::NetBenefitTest& row : results.net_benefit_tests) {
    csv.Key(row.key).Number(row.threshold).Count(row.k);
    csv.Number(row.against_none).Number(row.against_none_lower);
    csv.Number(row.against_all).Number(row.against_all_lower);
    csv.Text(Name(row.status)).Text(row.sentence).EndLine();
  }
  return csv.Take();
}

std::string Cv(const study::Results& results) {
  CsvWriter csv("model,features,harmonization,held_out,lambda,cvm,cvsd,nonzero,chosen");
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
  CsvWriter csv("model,features,harmonization,held_out,feature,reason");
  for (const study::DroppedFeature& row : results.dropped_features) {
    csv.Key(row.key).Text(row.feature).Text(row.reason).EndLine();
  }
  return csv.Take();
}

std::string Flow(const study::Results& results) {
  CsvWriter csv("site,institution,role,step,reason,rows");
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
  CsvWriter csv("site,answers,bytes_up,equations");
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
      {"net_benefit.csv", NetBenefit(results)},
      {"net_benefit_thresholds.csv", NetBenefitThresholds(results)},
      {"cv.csv", Cv(results)},
      {"dropped_features.csv", Dropped(results)},
      {"flow.csv", Flow(results)},
      {"disclosure.csv", Disclosure(results)},
  };
}

Result<std::vector<std::vector<std::string>>> ReadCsv(std::string_view file_name,
                                                      std::string_view csv) {
  std::vector<std::vector<std::string>> lines;
  std::size_t at = 0;
  std::int64_t line_number = 0;
  while (at < csv.size()) {
    ++line_number;
    const std::int64_t first_line = line_number;
    std::vector<std::string> fields;
    for (bool line_ended = false; !line_ended;) {
      std::string field;
      if (at < csv.size() && csv[at] == '"') {
        ++at;
        for (;; ++at) {
          if (at >= csv.size()) {
            return Fail(ErrorCode::kDataLoss,
                        fmt::format("{}: line {}: a quote is opened and never closed; the file was "
                                    "cut short or edited: write the report again",
                                    file_name, first_line));
          }
          if (csv[at] == '"' && (at + 1 >= csv.size() || csv[at + 1] != '"')) break;
          if (csv[at] == '"') ++at;
          if (csv[at] == '\n') ++line_number;
          field += csv[at];
        }
        ++at;
      } else {
        while (at < csv.size() && csv[at] != ',' && csv[at] != '\n' && csv[at] != '\r') {
          field += csv[at++];
        }
      }
      fields.push_back(std::move(field));
      if (at < csv.size() && csv[at] == ',') {
        ++at;
        continue;
      }
      if (at < csv.size() && csv[at] == '\r') ++at;
      if (at < csv.size() && csv[at] != '\n') {
        return Fail(ErrorCode::kDataLoss,
                    fmt::format("{}: line {}: expected a comma or the end of the line after field "
                                "{}; write the report again",
                                file_name, line_number, fields.size()));
      }
      ++at;
      line_ended = true;
    }
    if (!lines.empty() && fields.size() != lines.front().size()) {
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("{}: line {}: found {} fields, expected {} as in the first line; "
                              "write the report again",
                              file_name, first_line, fields.size(), lines.front().size()));
    }
    lines.push_back(std::move(fields));
  }
  return lines;
}

}  // namespace consilium::coordinator
