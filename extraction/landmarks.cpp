#include "extraction/landmarks.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/csv.h"
#include "engine/resegment.h"
#include "extraction/read_case.h"

namespace consilium::extraction {
namespace {

Result<engine::LandmarkSums> OfCase(const Case& one, bool within_region, int label) {
  const auto loaded = ReadCase(one, label);
  CONSILIUM_TRY(loaded);
  const engine::Image& image = loaded->image.image;
  if (!within_region) return engine::LandmarksOf(engine::AboveMean(image));
  if (loaded->regions.empty())
    return Fail(ErrorCode::kInvalidArgument,
                loaded->failures.empty() ? "there is no region" : loaded->failures.front().message);
  return engine::LandmarksOf(engine::IntensitiesOf(image, loaded->regions.front().mask));
}

std::string Listed(const std::vector<double>& numbers) {
  std::string text;
  for (const double number : numbers) text += (text.empty() ? "" : ", ") + FormatNumber(number);
  return text;
}

}  // namespace

Result<LandmarkReport> LandmarksOf(const CaseList& list, bool within_region, int label) {
  LandmarkReport report;
  std::optional<engine::LandmarkSums> sums;
  for (const Case& one : list.cases) {
    auto of_case = OfCase(one, within_region, label);
    if (!of_case) {
      report.failures.push_back(fmt::format("{}: {}", one.id, of_case.error().message));
      continue;
    }
    if (sums) {
      of_case = engine::Together(*sums, *of_case);
      CONSILIUM_TRY(of_case);
    }
    sums = std::move(*of_case);
  }
  if (!sums)
    return Fail(ErrorCode::kFailedPrecondition,
                "no case has landmarks; the first: " + report.failures.front());
  report.sums = std::move(*sums);
  return report;
}

std::string ToJson(const engine::LandmarkSums& sums) {
  return nlohmann::ordered_json{{"images", sums.images},
                                {"percentiles", sums.rule.percentiles},
                                {"low", sums.rule.low},
                                {"high", sums.rule.high},
                                {"landmarks", sums.landmarks}}
      .dump();
}

Result<engine::LandmarkSums> LandmarkSumsFromJson(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    engine::LandmarkSums sums;
    json.at("images").get_to(sums.images);
    json.at("percentiles").get_to(sums.rule.percentiles);
    json.at("low").get_to(sums.rule.low);
    json.at("high").get_to(sums.rule.high);
    json.at("landmarks").get_to(sums.landmarks);
    if (sums.images > 0 && sums.landmarks.size() == sums.rule.percentiles.size()) return sums;
  } catch (const nlohmann::json::exception&) {
  }
  return Fail(ErrorCode::kInvalidArgument,
              "these are no landmarks; expected what 'consilium-extract landmarks CASES' prints");
}

std::string ToYaml(const engine::LandmarkTemplate& standard, bool within_region) {
  return fmt::format(
      "preprocessing:\n  - landmarks:\n      within: {}\n      percentiles: [{}]\n"
      "      landmarks: [{}]\n",
      within_region ? "region" : "image", Listed(standard.percentiles), Listed(standard.landmarks));
}

}  // namespace consilium::extraction
