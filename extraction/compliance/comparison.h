// A value of ours beside the published one, and the verdict.
//
// A value holds when it lies within the tolerance that its reference states. What a reference has
// and we do not is missing, never skipped; what cannot be held to it carries its cause.
#pragma once

#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace consilium::compliance {

enum class Verdict {
  kHolds,
  kExplained,    // other than the reference, for the cause that the row names
  kDiffers,      // outside the tolerance
  kMissing,      // we have no such value, or it is not defined
  kUnknown,      // we have a value that the reference does not know
  kNotCompared,  // there is nothing to compare with; the row may name the cause
};
// "holds", "explained", "differs", "missing", "unknown", "not compared".
[[nodiscard]] std::string_view Name(Verdict verdict);
// Differs, missing or unknown.
[[nodiscard]] bool IsFailure(Verdict verdict);

struct Comparison {
  std::string configuration;  // "A", "brain1, default"
  std::string family;         // "glcm"
  std::string aggregation;    // "3D:avg"; empty where a family has none
  std::string feature;        // as the reference names it
  std::string ibsi_code;      // "GYBY", "GPMT:10"; empty where there is none
  // In the feature's unit; NaN where there is none.
  double reference = std::numeric_limits<double>::quiet_NaN();
  double tolerance =
      std::numeric_limits<double>::quiet_NaN();  // |ours - reference| may be so large
  double ours = std::numeric_limits<double>::quiet_NaN();
  Verdict verdict = Verdict::kNotCompared;
  std::string cause;  // a clause, why the row is not held as all others are; mostly empty
};

using Judge = Verdict (*)(double reference, double tolerance, double ours);

// |ours - reference| <= tolerance. NaN: of `reference` not compared, of `ours` missing.
[[nodiscard]] Verdict JudgeNumber(double reference, double tolerance, double ours);

// The same where references are printed with three significant digits, and counts from 1,000 on
// with all of theirs: `ours` as it is from there on, or rounded like them.
[[nodiscard]] Verdict JudgeThreeDigits(double reference, double tolerance, double ours);

// What a reference has under `key`: the row but for ours and the verdict.
struct Expected {
  std::string key;
  Comparison row;
};
// Values by the same keys.
using Values = std::map<std::string, double>;

// A row for each of `expected`, in order. `surplus`: what to do with values that nothing expects.
enum class Surplus {
  kLeaveOut,  // the reference never says which features there are
  kUnknown,   // a row each, named by its key
};
[[nodiscard]] std::vector<Comparison> Compare(const std::vector<Expected>& expected, Values ours,
                                              Judge judge, Surplus surplus);

}  // namespace consilium::compliance
