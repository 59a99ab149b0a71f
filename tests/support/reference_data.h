// Reference tables as cohorts, read from the shared folder; tests say clearly when it is not there.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/csv.h"
#include "federation/cohort.h"

// Leaves the test with a clear word when the reference is not on this machine.
#define CONSILIUM_NEEDS_SHARED(path)                                                         \
  do {                                                                                       \
    if (!std::filesystem::exists(::consilium::testing_support::Shared(path)))                \
      GTEST_SKIP() << "skipped: the reference " << (path) << " is not beside this checkout"; \
  } while (false)

namespace consilium::testing_support {

inline std::string Shared(const std::string& path) {
  return std::string(CONSILIUM_SHARED_DIR) + "/" + path;
}

inline std::string ReadShared(const std::string& path) {
  std::ifstream file(Shared(path), std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline CsvTable ReadSharedCsv(const std::string& path) {
  auto table = ParseCsv(ReadShared(path), path);
  EXPECT_TRUE(table.has_value()) << (table ? "" : table.error().message);
  return table.has_value() ? std::move(*table) : CsvTable{};
}

inline double Number(const CsvTable& table, std::size_t row, const std::string& column) {
  const auto at = table.Column(column);
  if (!at) return std::nan("");
  return ParseNumber(table.Cell(row, *at)).value_or(std::nan(""));
}

// Rows of `table` split by `center_of` into one cohort a site, features by name.
template <typename CenterOf, typename FoldOf, typename OutcomeOf>
std::vector<federation::Cohort> SplitByCenter(const CsvTable& table,
                                              const std::vector<std::string>& features,
                                              CenterOf center_of, FoldOf fold_of,
                                              OutcomeOf outcome_of) {
  std::map<std::string, std::vector<std::size_t>> rows;
  for (std::size_t i = 0; i < table.row_count(); ++i) rows[center_of(i)].push_back(i);
  std::vector<federation::Cohort> cohorts;
  for (const auto& [center, which] : rows) {
    federation::Cohort cohort;
    cohort.site = center;
    cohort.feature_names = features;
    const auto n = static_cast<Eigen::Index>(which.size());
    cohort.features.resize(n, static_cast<Eigen::Index>(features.size()));
    cohort.covariates.resize(n, 0);
    cohort.outcome.resize(n);
    for (Eigen::Index i = 0; i < n; ++i) {
      const std::size_t row = which[static_cast<std::size_t>(i)];
      for (std::size_t j = 0; j < features.size(); ++j) {
        cohort.features(i, static_cast<Eigen::Index>(j)) = Number(table, row, features[j]);
      }
      cohort.outcome(i) = outcome_of(row);
      cohort.fold.push_back(fold_of(row));
      cohort.patient.push_back(static_cast<int>(i));
      cohort.patient_ids.push_back(std::to_string(i));
    }
    cohorts.push_back(std::move(cohort));
  }
  return cohorts;
}

}  // namespace consilium::testing_support
