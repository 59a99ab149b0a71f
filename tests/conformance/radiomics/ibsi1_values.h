// The IBSI-1 reference values, and features held to them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "engine/ibsi.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {

inline const std::string kIbsi1Values = "reference/radiomics/ibsi1_reference.csv";

inline double ToThreeDigits(double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  return std::stod(fmt::format("{:.3g}", x));
}

// Every value with consensus of a configuration but the diagnostics: how many there were. Both are
// compared with three significant digits, within the reference's tolerance.
inline int CompareWithIbsi1(const std::string& config, const std::vector<IbsiFeature>& features) {
  const auto table = testing_support::ReadSharedCsv(kIbsi1Values);
  std::map<std::string, double> ours;
  for (const IbsiFeature& one : features)
    ours[fmt::format("{} {} {}", one.family, one.name.ibsi, one.aggregation)] = one.value;
  const auto cell = [&](std::size_t row, const std::string& column) {
    return std::string(table.Cell(row, *table.Column(column)));
  };
  int compared = 0;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    const std::string family = cell(row, "family");
    if (cell(row, "config") != config || cell(row, "value").empty() ||
        family.starts_with("diagnostics"))
      continue;
    const std::string parameter = cell(row, "ibsi_code_param");
    const std::string key =
        fmt::format("{} {}{} {}", family, cell(row, "ibsi_code"),
                    parameter.empty() ? "" : ":" + parameter, cell(row, "aggregation"));
    const auto found = ours.find(key);
    if (found == ours.end()) {
      ADD_FAILURE() << config << ": " << key << " is missing";
      continue;
    }
    const double expected = testing_support::Number(table, row, "value"),
                 tolerance = testing_support::Number(table, row, "tolerance");
    EXPECT_LE(std::abs(ToThreeDigits(found->second) - expected),
              tolerance + 1e-9 * std::abs(expected))
        << config << ": " << key << " " << cell(row, "feature_name") << ": " << found->second
        << ", expected " << expected << " +- " << tolerance;
    ++compared;
  }
  return compared;
}

}  // namespace consilium::engine
