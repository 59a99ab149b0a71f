#include "extraction/worker.h"

#include <fmt/format.h>
#include <malloc.h>

#include <istream>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/digest.h"
#include "extraction/extract_case.h"
#include "extraction/outcome.h"
#include "extraction/rater_agreement.h"

namespace consilium::extraction {
namespace {

using Json = nlohmann::ordered_json;

Case CaseOf(const Json& json) {
  Case one;
  json.at("id").get_to(one.id);
  one.image = json.at("image").get<std::string>();
  one.mask = json.at("mask").get<std::string>();
  json.at("series").get_to(one.series);
  json.at("labels").get_to(one.labels);
  json.at("rois").get_to(one.rois);
  return one;
}

// A case, or several of one image.
struct Request {
  bool compare = false;
  std::vector<Case> cases;
};
Result<Request> ParseRequest(const std::string& line) {
  try {
    const Json json = Json::parse(line);
    Request request{json.is_array(), {}};
    for (const Json& one : request.compare ? json : Json::array({json}))
      request.cases.push_back(CaseOf(one));
    return request;
  } catch (const Json::exception&) {
    return Fail(ErrorCode::kInternal, "a worker was asked for something that is no case");
  }
}

Json ToJson(const Case& one) {
  return {{"id", one.id},         {"image", one.image.string()}, {"mask", one.mask.string()},
          {"series", one.series}, {"labels", one.labels},        {"rois", one.rois}};
}

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string RequestOf(const Case& one) { return Line(ToJson(one)); }

std::string RequestOf(const std::vector<Case>& raters) {
  Json all = Json::array();
  for (const Case& one : raters) all.push_back(ToJson(one));
  return Line(all);
}

std::optional<std::string> KeyAsked(std::string_view line) {
  constexpr std::string_view kPrefix = "known? ";
  if (!line.starts_with(kPrefix)) return std::nullopt;
  return std::string(line.substr(kPrefix.size()));
}

Result<void> Serve(std::istream& in, std::ostream& out, const Settings& settings) {
  for (std::string line; std::getline(in, line);) {
    const auto request = ParseRequest(line);
    CONSILIUM_TRY(request);
    if (request->compare) {
      out << ToLine(CompareMasks(request->cases, settings.label)) << kReady << std::endl;
      continue;
    }
    const Case& one = request->cases.front();
    NameLists told;
    const auto key = KeyOf(one, settings);
    if (!key) {
      out << ToLines({{}, {{"", key.error().message}}}, "", told);
    } else {
      const std::string name = Hex(key->key);
      out << "known? " << name << std::endl;
      std::getline(in, line);
      if (line == kGoOn) out << ToLines(ExtractCase(one, *key, settings), name, told);
    }
    ::malloc_trim(0);  // else what is left between small blocks adds to the next case's
    out << kReady << std::endl;
  }
  return {};
}

}  // namespace consilium::extraction
