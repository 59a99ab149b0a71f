// The IBSI-1 reference values, and features held to them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "engine/ibsi.h"
#include "tests/conformance/radiomics/ibsi_value.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {

inline const std::string kIbsi1Values = "reference/radiomics/ibsi1_reference.csv";

// Rows of a configuration, each by what names it, against `ours`: how many there were.
template <typename KeyOf, typename IsMeant>
int CompareRows(const std::string& config, const std::map<std::string, double>& ours,
                const IsMeant& is_meant, const KeyOf& key_of) {
  const auto table = testing_support::ReadSharedCsv(kIbsi1Values);
  int compared = 0;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    const auto cell = [&](const std::string& column) {
      return std::string(table.Cell(row, *table.Column(column)));
    };
    if (cell("config") != config || cell("value").empty() || !is_meant(cell("family"))) continue;
    const std::string key = key_of(cell);
    const auto found = ours.find(key);
    if (found == ours.end()) {
      ADD_FAILURE() << config << ": " << key << " is missing";
      continue;
    }
    ExpectIbsiValue(table, row, found->second,
                    fmt::format("{}: {} {}", config, key, cell("feature_name")));
    ++compared;
  }
  return compared;
}

// Every value with consensus but the diagnostics.
inline int CompareWithIbsi1(const std::string& config, const std::vector<IbsiFeature>& features) {
  std::map<std::string, double> ours;
  for (const IbsiFeature& one : features)
    ours[fmt::format("{} {} {}", one.family, one.name.ibsi, one.aggregation)] = one.value;
  return CompareRows(
      config, ours, [](const std::string& family) { return !family.starts_with("diagnostics"); },
      [](const auto& cell) {
        const std::string parameter = cell("ibsi_code_param");
        return fmt::format("{} {}{} {}", cell("family"), cell("ibsi_code"),
                           parameter.empty() ? "" : ":" + parameter, cell("aggregation"));
      });
}

// Sizes, counts and intensities of the image and its masks after every step, by tag.
inline int CompareDiagnostics(const std::string& config,
                              const std::map<std::string, double>& ours) {
  return CompareRows(
      config, ours, [](const std::string& family) { return family.starts_with("diagnostics"); },
      [](const auto& cell) { return cell("tag"); });
}

}  // namespace consilium::engine
