#include "extraction/outcome.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/digest.h"

namespace consilium::extraction {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no infinities and no NaN.
Json NumberToJson(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? Json("nan") : Json(value > 0 ? "inf" : "-inf");
}
double NumberFromJson(const Json& json) {
  if (json.is_number()) return json.get<double>();
  const auto& text = json.get_ref<const std::string&>();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return text == "inf" ? kInfinity : text == "-inf" ? -kInfinity : std::nan("");
}

Outcome ToOutcome(const Json& json, const NameLists& told) {
  Outcome outcome;
  for (const Json& from : json.at("rows")) {
    RegionRow row;
    row.region = from.at("region").get<std::string>();
    for (const Json& pair : from.at("provenance"))
      row.provenance.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
    for (const Json& value : from.at("values")) row.values.push_back(NumberFromJson(value));
    row.warnings = from.at("warnings").get<std::vector<std::string>>();
    row.perturbation = from.value("perturbation", "");
    const auto* names = told.Find(from.at("names").get<std::string>());
    if (names == nullptr || names->size() != row.values.size())
      throw std::invalid_argument("no such list of names");
    row.names = *names;
    outcome.rows.push_back(std::move(row));
  }
  for (const Json& from : json.at("failures")) {
    outcome.failures.push_back(
        {from.at("region").get<std::string>(), from.at("message").get<std::string>()});
  }
  return outcome;
}

std::string Line(const Json& json) {
  // Names of regions come out of files and may be no UTF-8.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::pair<std::string, bool> NameLists::Add(const std::vector<std::string>& list) {
  std::string all;
  for (const auto& name : list) all += name + "\n";
  std::string name = Hex(Sha256(all));
  const bool is_new = lists_.try_emplace(name, list).second;
  return {std::move(name), is_new};
}

const std::vector<std::string>* NameLists::Find(const std::string& name) const {
  const auto found = lists_.find(name);
  return found == lists_.end() ? nullptr : &found->second;
}

std::string ToLines(const Outcome& outcome, const std::string& key, NameLists& told) {
  std::string lines;
  Json rows = Json::array(), failures = Json::array();
  for (const RegionRow& row : outcome.rows) {
    const auto [names, is_new] = told.Add(row.names);
    if (is_new) lines += Line({{"names", row.names}});
    Json values = Json::array(), provenance = Json::array();
    for (const double value : row.values) values.push_back(NumberToJson(value));
    for (const auto& [name, text] : row.provenance) provenance.push_back(Json::array({name, text}));
    rows.push_back({{"region", row.region},
                    {"provenance", std::move(provenance)},
                    {"names", names},
                    {"values", std::move(values)},
                    {"warnings", row.warnings}});
    if (!row.perturbation.empty()) rows.back()["perturbation"] = row.perturbation;
  }
  for (const Failure& failure : outcome.failures)
    failures.push_back({{"region", failure.region}, {"message", failure.message}});
  return lines + Line({{"key", key}, {"rows", std::move(rows)}, {"failures", std::move(failures)}});
}

Result<std::optional<KeyedOutcome>> FromLine(std::string_view line, NameLists& told) {
  try {
    const Json json = Json::parse(line);
    if (json.contains("names")) {
      (void)told.Add(json.at("names").get<std::vector<std::string>>());
      return std::optional<KeyedOutcome>();
    }
    return KeyedOutcome{json.at("key").get<std::string>(), ToOutcome(json, told)};
  } catch (const std::exception&) {
    return Fail(ErrorCode::kDataLoss, "it is no outcome of a case, or parts of it are missing");
  }
}

}  // namespace consilium::extraction
