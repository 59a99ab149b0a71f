#include "console/summary.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "console/render.h"
#include "coordinator/report_json.h"

namespace consilium::console {
namespace {

using Json = nlohmann::json;

// The value under `key`, or null: a report of a later version may lack what we know.
const Json& At(const Json& json, const char* key) {
  static const Json kNull;
  if (!json.is_object()) return kNull;
  const auto found = json.find(key);
  return found == json.end() ? kNull : *found;
}
std::string Text(const Json& json, const char* key) {
  const Json& value = At(json, key);
  return value.is_string() ? Shown(value.get_ref<const std::string&>()) : std::string();
}
std::string Figure(const Json& value) {
  return value.is_number() ? fmt::format("{:.3f}", value.get<double>()) : std::string("-");
}
std::string IntervalText(const Json& value) {
  if (!value.is_array() || value.size() != 2 || !value[0].is_number()) return "-";
  return fmt::format("{} to {}", Figure(value[0]), Figure(value[1]));
}
bool IsTrue(const Json& value) { return value.is_boolean() && value.get<bool>(); }

}  // namespace

Result<ReportSummary> Summarize(std::string_view report_json) {
  const Json report = Json::parse(report_json, nullptr, /*allow_exceptions=*/false);
  const auto wrong = [](std::string_view what) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("report.json: {}; expected schema {}",
                                                         what, coordinator::kReportSchema));
  };
  if (!report.is_object()) return wrong("is no JSON object");
  if (Text(report, "schema") != coordinator::kReportSchema)
    return wrong(fmt::format("field 'schema' is '{}'", Text(report, "schema")));
  const Json& verdict = At(report, "verdict");
  const Json& results = At(report, "results");
  if (!verdict.is_object() || !results.is_array())
    return wrong("field 'verdict' or 'results' is missing");
  ReportSummary summary{Text(verdict, "word"),
                        Text(verdict, "sentence"),
                        Text(At(report, "provenance"), "study"),
                        {}};
  std::string& table = summary.table;
  table = fmt::format("{:<22} {:<12} {:<10} {:>9} {:>9} {:>20} {:>12}\n", "held out", "features",
                      "harmon.", "internal", "external", "95 % interval", "degradation");
  bool truth = false;
  for (const Json& row : results) {
    const Json& true_auc = At(row, "true_external_auc");
    const std::string reason = Text(row, "reason"), ended = Text(row, "path_ended");
    table += fmt::format(
        "{:<22} {:<12} {:<10} {:>9} {:>9} {:>20} {:>12}{}{}{}\n", Text(row, "held_out"),
        Text(row, "features"), Text(row, "harmonization"), Figure(At(row, "internal_auc")),
        Figure(At(row, "external_auc")), IntervalText(At(row, "external_auc_ci")),
        Figure(At(row, "degradation")), true_auc.is_number() ? "   truth " + Figure(true_auc) : "",
        IsTrue(At(row, "primary")) ? "  *" : "", reason.empty() ? "" : "  (" + reason + ")");
    if (!ended.empty()) table += "  " + ended + "\n";
    truth = truth || true_auc.is_number();
  }
  table += fmt::format(
      "* the pre-registered primary analysis{}\n",
      truth ? "; truth: AUC of the data-generating predictor in that hospital, the ceiling of any "
              "score"
            : "");
  if (At(report, "rounds").is_number())
    table += fmt::format("\n{} rounds.", At(report, "rounds").get<std::int64_t>());
  return summary;
}

std::string SummaryText(const ReportSummary& summary, std::string_view page) {
  return fmt::format("\n{}\n{}\n\n{} The report: {}\n", summary.word, summary.sentence,
                     summary.table, page);
}

}  // namespace consilium::console
