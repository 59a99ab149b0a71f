#include "coordinator/report_json.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/clean_text.h"

namespace consilium::coordinator {
namespace {

using study::CriterionStatus;
using study::FitKey;
using study::Interval;

// Writes JSON front to back. The two outer levels and the rows of tables stand on lines of their
// own.
class Writer {
 public:
  void BeginObject() { Begin('{'); }
  void EndObject() { End('}'); }
  void BeginArray() { Begin('['); }
  void EndArray() { End(']'); }

  void Key(std::string_view key) {
    Separate();
    Quote(key);
    out_ += ": ";
    after_key_ = true;
  }

  void Value(std::string_view text) {
    Separate();
    Quote(text);
  }
  void Value(const char* text) { Value(std::string_view(text)); }
  void Value(bool value) {
    Separate();
    out_ += value ? "true" : "false";
  }
  void Value(double value) {
    Separate();
    out_ += std::isfinite(value) ? fmt::format("{}", value) : "null";
  }
  void Value(std::int64_t value) {
    Separate();
    out_ += fmt::format("{}", value);
  }
  void Value(std::uint64_t value) {
    Separate();
    out_ += fmt::format("{}", value);
  }
  // A count that does not exist is negative in Results.
  void Count(std::string_view key, std::int64_t value) {
    Key(key);
    if (value < 0) {
      Separate();
      out_ += "null";
    } else {
      Value(value);
    }
  }
  // [lower, upper], or null when neither is defined.
  void Value(const Interval& interval) {
    if (!std::isfinite(interval.lower) && !std::isfinite(interval.upper)) {
      Value(study::kNotDefined);
      return;
    }
    BeginArray();
    Value(interval.lower);
    Value(interval.upper);
    EndArray();
  }
  template <typename T>
  void Field(std::string_view key, const T& value) {
    Key(key);
    Value(value);
  }

  [[nodiscard]] std::string Take() {
    out_ += '\n';
    return std::move(out_);
  }

 private:
  static constexpr std::size_t kLinesUpToDepth = 2;

  void Begin(char bracket) {
    Separate();
    out_ += bracket;
    empty_.push_back(true);
  }
  void End(char bracket) {
    const bool was_empty = empty_.back();
    empty_.pop_back();
    if (!was_empty && empty_.size() < kLinesUpToDepth) NewLine();
    out_ += bracket;
  }
  void Separate() {
    if (after_key_) {
      after_key_ = false;
      return;
    }
    if (empty_.empty()) return;
    if (!empty_.back()) out_ += empty_.size() > kLinesUpToDepth ? ", " : ",";
    empty_.back() = false;
    if (empty_.size() <= kLinesUpToDepth) NewLine();
  }
  void NewLine() {
    out_ += '\n';
    out_.append(empty_.size(), ' ');
  }
  void Quote(std::string_view text) {
    out_ += '"';
    for (const char c : CleanUtf8(text)) {
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (c == '\n') {
        out_ += "\\n";
      } else if (c == '\t') {
        out_ += "\\t";
      } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
        out_ += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  std::string out_;
  std::vector<bool> empty_;  // by open bracket: nothing written into it yet
  bool after_key_ = false;
};

void Write(Writer& json, const FitKey& key) {
  json.Field("model", key.model);
  json.Field("features", key.features);
  json.Field("harmonization", key.harmonization);
  json.Field("held_out", key.held_out);
}

void Write(Writer& json, const study::ResultRow& row) {
  json.BeginObject();
  Write(json, row.key);
  json.Field("institution", row.institution);
  json.Field("lambda_rule", row.lambda_rule);
  json.Field("primary", row.primary);
  json.Field("status", Name(row.status));
  json.Field("reason", row.reason);
  json.Field("n", row.n);
  json.Count("events", row.events);
  json.Count("nonevents", row.nonevents);
  json.Field("internal_auc", row.internal_auc);
  json.Field("internal_auc_ci", row.internal_auc_ci);
  json.Field("internal_auc_pooled", row.internal_auc_pooled);
  json.Field("internal_auc_pooled_bound", row.internal_auc_pooled_bound);
  json.Field("external_auc", row.external_auc);
  json.Field("external_auc_ci", row.external_auc_ci);
  json.Field("external_auc_ci_wald", row.external_auc_ci_wald);
  json.Field("degradation", row.degradation);
  json.Field("degradation_ci", row.degradation_ci);
  json.Field("lambda", row.lambda);
  json.Count("nonzero", row.nonzero);
  json.Field("kkt_residual", row.kkt_residual);
  json.Count("path_length", row.path_length);
  json.Field("counts", row.counts);
  json.Field("single_row_decides", row.single_row_decides);
  json.Field("true_external_auc", row.true_external_auc.value_or(study::kNotDefined));
  json.Field("path_ended", row.path_ended);
  json.EndObject();
}

void Write(Writer& json, const study::SummaryRow& row) {
  json.BeginObject();
  json.Field("model", row.model);
  json.Field("features", row.features);
  json.Field("harmonization", row.harmonization);
  json.Field("lambda_rule", row.lambda_rule);
  json.Field("primary", row.primary);
  json.Field("k", row.k);
  json.Field("expit_mu", row.expit_mu);
  json.Field("ci", row.ci);
  json.Field("prediction_interval", row.prediction_interval);
  json.Field("prediction_interval_k2", row.prediction_interval_k2);
  json.Field("tau2", row.tau2);
  json.Field("I2", row.i2);
  json.Field("mean_internal", row.mean_internal);
  json.Field("delta", row.delta);
  json.Field("delta_ci95", row.delta_ci95);
  json.Field("delta_ci90", row.delta_ci90);
  json.Field("reason", row.reason);
  json.EndObject();
}

void Write(Writer& json, const std::vector<std::string>& texts) {
  json.BeginArray();
  for (const std::string& text : texts) json.Value(text);
  json.EndArray();
}

void Write(Writer& json, const study::Verdict& verdict) {
  json.BeginObject();
  json.Field("word", verdict.word);
  json.Field("sentence", verdict.sentence);
  json.Key("criteria");
  json.BeginArray();
  for (const study::Criterion& criterion : verdict.criteria) {
    json.BeginObject();
    json.Field("name", criterion.name);
    json.Field("title", criterion.title);
    json.Field("status", Name(criterion.status));
    json.Field("sentence", criterion.sentence);
    json.EndObject();
  }
  json.EndArray();
  json.Key("sentences");
  Write(json, verdict.sentences);
  json.EndObject();
}

void Write(Writer& json, const study::RocCurve& curve) {
  json.BeginObject();
  Write(json, curve.key);
  json.Key("points");
  json.BeginArray();
  for (const study::RocPoint& point : curve.points) {
    json.BeginArray();
    json.Value(point.false_positive_rate);
    json.Value(point.true_positive_rate);
    json.EndArray();
  }
  json.EndArray();
  json.EndObject();
}

void Write(Writer& json, const study::CalibrationRow& row) {
  json.BeginObject();
  Write(json, row.key);
  json.Field("n", row.n);
  json.Field("observed", row.observed);
  json.Field("expected", row.expected);
  json.Field("oe", row.oe);
  json.Field("oe_ci", row.oe_ci);
  json.Field("citl", row.citl);
  json.Field("citl_ci", row.citl_ci);
  json.Field("intercept", row.intercept);
  json.Field("intercept_ci", row.intercept_ci);
  json.Field("slope", row.slope);
  json.Field("slope_ci", row.slope_ci);
  json.Field("brier", row.brier);
  json.Field("brier_ci", row.brier_ci);
  json.Field("reason", row.reason);
  json.Key("groups");
  json.BeginArray();
  for (const study::CalibrationGroup& group : row.groups) {
    json.BeginObject();
    json.Field("n", group.n);
    json.Field("events", group.events);
    json.Field("mean_risk", group.mean_risk);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
}

void WriteNetBenefit(Writer& json, const study::Results& results) {
  json.BeginObject();
  json.Key("curves");
  json.BeginArray();
  for (const study::NetBenefitCurve& curve : results.net_benefit_curves) {
    json.BeginObject();
    Write(json, curve.key);
    json.Key("points");
    json.BeginArray();
    for (const study::NetBenefitPoint& point : curve.points) {
      json.BeginObject();
      json.Field("threshold", point.threshold);
      json.Field("model", point.model);
      json.Field("treat_all", point.treat_all);
      json.EndObject();
    }
    json.EndArray();
    json.EndObject();
  }
  json.EndArray();
  json.Key("thresholds");
  json.BeginArray();
  for (const study::NetBenefitTest& test : results.net_benefit_tests) {
    json.BeginObject();
    Write(json, test.key);
    json.Field("threshold", test.threshold);
    json.Field("k", test.k);
    json.Field("against_none", test.against_none);
    json.Field("against_none_lower", test.against_none_lower);
    json.Field("against_all", test.against_all);
    json.Field("against_all_lower", test.against_all_lower);
    json.Field("status", Name(test.status));
    json.Field("sentence", test.sentence);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
}

void WriteFlow(Writer& json, const study::Results& results) {
  json.BeginObject();
  for (const auto& [site, flow] : results.flow) {
    json.Key(site);
    json.BeginObject();
    json.Field("institution", flow.institution);
    json.Field("role", flow.role);
    json.Key("steps");
    json.BeginArray();
    for (const federation::FlowStep& step : flow.steps) {
      json.BeginObject();
      json.Field("reason", step.reason);
      json.Count("rows", step.rows);
      json.EndObject();
    }
    json.EndArray();
    json.EndObject();
  }
  json.EndObject();
}

void WriteDisclosure(Writer& json, const study::Results& results) {
  json.BeginObject();
  json.Key("sites");
  json.BeginObject();
  for (const auto& [site, disclosure] : results.disclosure) {
    json.Key(site);
    json.BeginObject();
    json.Field("answers", disclosure.answers);
    json.Field("bytes_up", disclosure.bytes_up);
    json.Field("equations", disclosure.equations);
    json.EndObject();
  }
  json.EndObject();
  json.Key("sentences");
  Write(json, results.disclosure_sentences);
  json.EndObject();
}

void Write(Writer& json, const study::Provenance& provenance) {
  json.BeginObject();
  json.Field("study", provenance.study);
  json.Field("title", provenance.title);
  json.Field("study_digest", provenance.study_digest);
  json.Field("engine_version", provenance.engine_version);
  json.Key("roster");
  Write(json, provenance.roster);
  json.Field("seed", provenance.seed);
  json.Field("policy", provenance.policy);
  json.Field("design", provenance.design);
  json.Field("outcome", provenance.outcome);
  json.Field("event", provenance.event);
  json.Field("primary", provenance.primary);
  json.Field("margin", provenance.margin);
  json.Field("auc_floor", provenance.auc_floor);
  json.Key("thresholds");
  json.BeginArray();
  for (const double threshold : provenance.thresholds) json.Value(threshold);
  json.EndArray();
  json.Field("folds", provenance.folds);
  json.Field("tuning", provenance.tuning);
  json.Field("min_cell", provenance.min_cell);
  json.Field("min_sites", provenance.min_sites);
  json.Field("curvature", provenance.curvature);
  json.EndObject();
}

template <typename Rows>
void WriteRows(Writer& json, std::string_view key, const Rows& rows) {
  json.Key(key);
  json.BeginArray();
  for (const auto& row : rows) Write(json, row);
  json.EndArray();
}

}  // namespace

std::string ReportJson(const study::Results& results) {
  Writer json;
  json.BeginObject();
  json.Field("schema", kReportSchema);
  json.Key("verdict");
  Write(json, results.verdict);
  WriteRows(json, "results", results.rows);
  WriteRows(json, "summary", results.summary);
  WriteRows(json, "roc", results.roc);
  WriteRows(json, "calibration", results.calibration);
  json.Key("net_benefit");
  WriteNetBenefit(json, results);
  json.Field("coefficients_file", "coefficients.csv");
  json.Field("cv_file", "cv.csv");
  json.Key("dropped_features");
  json.BeginArray();
  for (const study::DroppedFeature& dropped : results.dropped_features) {
    json.BeginObject();
    Write(json, dropped.key);
    json.Field("feature", dropped.feature);
    json.Field("reason", dropped.reason);
    json.EndObject();
  }
  json.EndArray();
  json.Key("flow");
  WriteFlow(json, results);
  json.Field("rounds", results.rounds);
  json.Key("bytes_up");
  json.BeginObject();
  for (const auto& [site, disclosure] : results.disclosure) json.Field(site, disclosure.bytes_up);
  json.EndObject();
  json.Key("disclosure");
  WriteDisclosure(json, results);
  json.Key("provenance");
  Write(json, results.provenance);
  json.EndObject();
  return json.Take();
}

}  // namespace consilium::coordinator
