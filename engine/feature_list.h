// A family of features: a struct of doubles, and one list that names them.
//
// Each family writes its list once, as a function that visits name, codes and value; sums,
// averages, tables and documents all walk it. A feature that is not defined for a region is NaN.
#pragma once

#include <cmath>
#include <limits>
#include <string_view>

namespace consilium::engine {

inline constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

// What a feature is called.
struct FeatureName {
  std::string_view name;         // "joint_maximum": ours, stable
  std::string_view ibsi;         // "GYBY"; empty: no part of the standard
  std::string_view pyradiomics;  // "MaximumProbability"; empty: it has none
};

// Adds and scales every feature of a family; `Family::Visit(features, visitor)` is its list.
template <typename Family>
struct Averaged {
  void Add(const Family& other) {
    Zip(static_cast<Family&>(*this), other, [](double& mine, double theirs) { mine += theirs; });
  }
  void Scale(double factor) {
    Family::Visit(static_cast<Family&>(*this),
                  [&](const FeatureName&, double& value) { value *= factor; });
  }

 private:
  template <typename Both>
  static void Zip(Family& mine, const Family& theirs, const Both& both) {
    double* at[64];
    int count = 0;
    Family::Visit(mine, [&](const FeatureName&, double& value) { at[count++] = &value; });
    count = 0;
    Family::Visit(theirs,
                  [&](const FeatureName&, const double& value) { both(*at[count++], value); });
  }
};

}  // namespace consilium::engine
