// Parts of reference sets, held: the tests run what `consilium-extract --compliance` runs.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "extraction/compliance/reference_set.h"
#include "tests/support/reference_data.h"

namespace consilium::compliance {

inline Folders SharedFolders() {
  return {testing_support::Shared("reference/radiomics"),
          testing_support::Shared("data/sts_mr_t1/nifti")};
}

inline std::vector<std::string> PartNames(const ReferenceSet& set) {
  std::vector<std::string> names;
  for (const Part& part : set.parts) names.push_back(part.name);
  return names;
}

inline const Part& PartOf(const ReferenceSet& set, const std::string& name) {
  return *std::find_if(set.parts.begin(), set.parts.end(),
                       [&](const Part& part) { return part.name == name; });
}

// The first file that the part lacks here; empty: it has all.
inline std::string LackingFile(const Part& part) {
  for (const auto& file : part.files) {
    if (!std::filesystem::exists(file)) return file.string();
  }
  return "";
}

// The part's rows; each that fails is told.
inline std::vector<Comparison> HeldRows(const Part& part) {
  const auto rows = part.compare();
  if (!rows) {
    ADD_FAILURE() << rows.error().message;
    return {};
  }
  for (const Comparison& row : *rows) {
    EXPECT_FALSE(IsFailure(row.verdict)) << fmt::format(
        "{} {} {} {}: {}: {}, expected {} +- {}", row.configuration, row.family, row.feature,
        row.aggregation, Name(row.verdict), row.ours, row.reference, row.tolerance);
  }
  return *rows;
}

inline auto CountOf(const std::vector<Comparison>& rows, Verdict verdict) {
  return std::count_if(rows.begin(), rows.end(),
                       [&](const Comparison& row) { return row.verdict == verdict; });
}

}  // namespace consilium::compliance

// Leaves the test with a clear word when the part's files are not on this machine.
#define CONSILIUM_NEEDS_PART(part)                                                                \
  do {                                                                                            \
    if (const std::string lacking = ::consilium::compliance::LackingFile(part); !lacking.empty()) \
      GTEST_SKIP() << "skipped: the reference " << lacking << " is not beside this checkout";     \
  } while (false)
