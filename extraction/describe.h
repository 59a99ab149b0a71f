// Every feature there is: its names, its code in the standard, where its formula stands.
#pragma once

#include <string>
#include <vector>

namespace consilium::extraction {

struct DescribedFeature {
  std::string family;       // "glcm"
  std::string name;         // as the IBSI dialect's columns end
  std::string ibsi;         // code of the feature, or empty
  std::string pyradiomics;  // "glcm_JointEntropy", or empty
  std::string source;       // of the formula
};

// Of both dialects; a feature that both have is one line.
[[nodiscard]] std::vector<DescribedFeature> DescribeFeatures();

// As CSV, with a header.
[[nodiscard]] std::string ToCsv(const std::vector<DescribedFeature>& features);
// As a table for people, families with a headline.
[[nodiscard]] std::string ToText(const std::vector<DescribedFeature>& features);

}  // namespace consilium::extraction
