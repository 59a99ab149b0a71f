#include "extraction/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "base/csv.h"
#include "engine/glcm.h"
#include "engine/intensity.h"
#include "engine/local_intensity.h"
#include "engine/morphology.h"
#include "engine/ngtdm.h"
#include "engine/pyradiomics.h"
#include "engine/semantic.h"
#include "engine/size_counts.h"

namespace consilium::extraction {
namespace {

using engine::FeatureName;

// A family of the standard, and PyRadiomics' class of it.
struct Family {
  std::string_view name, pyradiomics, source;
};
constexpr std::string_view kManual = "IBSI reference manual v11, ";
constexpr std::string_view kDocumentation = "PyRadiomics 3.1 documentation, ";

class Describer {
 public:
  // A visitor of the family's features.
  auto Of(const Family& family) {
    return [this, family](const FeatureName& name, double) {
      const std::string pyradiomics =
          name.pyradiomics.empty() || family.pyradiomics.empty()
              ? ""
              : fmt::format("{}_{}", family.pyradiomics, name.pyradiomics);
      all_.push_back({std::string(family.name), std::string(name.name), std::string(name.ibsi),
                      pyradiomics, std::string(family.source)});
    };
  }
  // Those of PyRadiomics that no family has.
  void AddOthers() {
    for (const auto& feature : engine::PyradiomicsFeatureNames()) {
      const std::string column = fmt::format("{}_{}", feature.feature_class, feature.name);
      const bool there = std::any_of(all_.begin(), all_.end(),
                                     [&](const auto& one) { return one.pyradiomics == column; });
      if (there) continue;
      using Kind = engine::PyradiomicsFeatureName::Kind;
      std::string source = fmt::format("{}{}", kDocumentation, feature.feature_class);
      if (feature.kind == Kind::kOnDemand) source += "; deprecated, only where it is named";
      if (feature.kind == Kind::kWithdrawn)
        source += fmt::format("; withdrawn, its value is {}'s", feature.same_as);
      all_.push_back({std::string(feature.feature_class), "", "", column, source});
    }
  }
  std::vector<DescribedFeature> Take() { return std::move(all_); }

 private:
  std::vector<DescribedFeature> all_;
};

std::string From(std::string_view section) { return fmt::format("{}{}", kManual, section); }

}  // namespace

std::vector<DescribedFeature> DescribeFeatures() {
  Describer all;
  const auto describe = [&]<typename Features>(const Features&, std::string_view name,
                                               std::string_view pyradiomics,
                                               const std::string& source) {
    Features::Visit(Features{}, all.Of({name, pyradiomics, source}));
  };
  describe(engine::MorphologyFeatures{}, "morphology", "shape",
           From("\"Morphological features\" (HCUG)"));
  describe(engine::LocalIntensityFeatures{}, "local_intensity", "",
           From("\"Local intensity features\" (9ST6)"));
  describe(engine::IntensityFeatures{}, "intensity_statistics", "firstorder",
           From("\"Intensity-based statistical features\" (UHIW)"));
  describe(engine::HistogramFeatures{}, "intensity_histogram", "firstorder",
           From("\"Intensity histogram features\" (ZVCW)"));
  describe(engine::VolumeHistogramFeatures{}, "intensity_volume_histogram", "",
           From("\"Intensity-volume histogram features\" (P88C)"));
  describe(engine::GlcmFeatures{}, "glcm", "glcm",
           From("\"Grey level co-occurrence based features\" (LFYI)"));
  struct SizeFamily {
    std::string_view name, pyradiomics, section;
    std::span<const FeatureName> names;
  };
  for (const auto& [name, pyradiomics, section, names] : std::array<SizeFamily, 4>{
           {{"glrlm", "glrlm", "\"Grey level run length based features\" (TP0I)",
             engine::GlrlmNames()},
            {"glszm", "glszm", "\"Grey level size zone based features\" (9SAK)",
             engine::GlszmNames()},
            {"gldzm", "", "\"Grey level distance zone based features\" (VMDZ)",
             engine::GldzmNames()},
            {"ngldm", "gldm", "\"Neighbouring grey level dependence based features\" (REK0)",
             engine::NgldmNames()}}}) {
    const std::string source = From(section);
    engine::VisitAs({}, names, all.Of({name, pyradiomics, source}));
  }
  describe(engine::NgtdmFeatures{}, "ngtdm", "ngtdm",
           From("\"Neighbourhood grey tone difference based features\" (IPET)"));
  describe(engine::SemanticFeatures{}, "semantic", "", "engine/semantic.h");
  all.AddOthers();
  return all.Take();
}

std::string ToCsv(const std::vector<DescribedFeature>& features) {
  CsvWriter csv;
  csv.Row({"family", "name", "ibsi", "pyradiomics", "source"});
  for (const auto& one : features)
    csv.Row({one.family, one.name, one.ibsi, one.pyradiomics, one.source});
  return csv.text();
}

std::string ToText(const std::vector<DescribedFeature>& features) {
  std::string text, family;
  for (const auto& one : features) {
    if (one.family != family) text += fmt::format("\n{}: {}\n", one.family, one.source);
    family = one.family;
    text += fmt::format("  {:<45} {:<5} {}\n", one.name.empty() ? "-" : one.name, one.ibsi,
                        one.pyradiomics);
  }
  return text;
}

}  // namespace consilium::extraction
