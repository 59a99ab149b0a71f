// A value held to a row of the IBSI's reference tables.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "tests/support/reference_data.h"

namespace consilium::engine {

inline double ToThreeDigits(double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  return std::stod(fmt::format("{:.3g}", x));
}

// The references have three significant digits, and large counts all of theirs: the value as it is
// or rounded like them, within the row's tolerance.
inline void ExpectIbsiValue(const CsvTable& table, std::size_t row, double value,
                            const std::string& what) {
  const double expected = testing_support::Number(table, row, "value"),
               tolerance = testing_support::Number(table, row, "tolerance");
  const double kept = std::abs(expected) >= 1000 ? value : ToThreeDigits(value);
  EXPECT_LE(std::min(std::abs(kept - expected), std::abs(ToThreeDigits(kept) - expected)),
            tolerance + 1e-9 * std::abs(expected))
      << what << ": " << value << ", expected " << expected << " +- " << tolerance;
}

}  // namespace consilium::engine
