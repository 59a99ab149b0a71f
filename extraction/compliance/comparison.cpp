#include "extraction/compliance/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/csv.h"

namespace consilium::compliance {
namespace {

double ToThreeDigits(double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  return ParseNumber(fmt::format("{:.3g}", x)).value_or(x);
}

}  // namespace

std::string_view Name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHolds:
      return "holds";
    case Verdict::kExplained:
      return "explained";
    case Verdict::kDiffers:
      return "differs";
    case Verdict::kMissing:
      return "missing";
    case Verdict::kUnknown:
      return "unknown";
    case Verdict::kNotCompared:
      return "not compared";
  }
  return "";
}

bool IsFailure(Verdict verdict) {
  return verdict == Verdict::kDiffers || verdict == Verdict::kMissing ||
         verdict == Verdict::kUnknown;
}

Verdict JudgeNumber(double reference, double tolerance, double ours) {
  if (std::isnan(reference)) return Verdict::kNotCompared;
  if (std::isnan(ours)) return Verdict::kMissing;
  return std::abs(ours - reference) <= tolerance ? Verdict::kHolds : Verdict::kDiffers;
}

Verdict JudgeThreeDigits(double reference, double tolerance, double ours) {
  const double kept = std::abs(reference) >= 1000 ? ours : ToThreeDigits(ours);
  const double rounded = ToThreeDigits(kept);
  const bool nearer = std::abs(rounded - reference) < std::abs(kept - reference);
  // Decimal numbers are not exact in binary.
  return JudgeNumber(reference, tolerance + 1e-9 * std::abs(reference), nearer ? rounded : kept);
}

std::vector<Comparison> Compare(const std::vector<Expected>& expected, Values ours, Judge judge,
                                Surplus surplus) {
  std::vector<Comparison> rows;
  for (const auto& [key, wanted] : expected) {
    Comparison& row = rows.emplace_back(wanted);
    if (const auto found = ours.find(key); found != ours.end()) row.ours = found->second;
    row.verdict = judge(row.reference, row.tolerance, row.ours);
  }
  if (surplus == Surplus::kLeaveOut) return rows;
  for (const auto& one : expected) ours.erase(one.key);
  for (const auto& [key, value] : ours) {
    Comparison& row = rows.emplace_back();
    if (!expected.empty()) row.configuration = expected.front().row.configuration;
    row.feature = key;
    row.ours = value;
    row.verdict = Verdict::kUnknown;
  }
  return rows;
}

}  // namespace consilium::compliance
