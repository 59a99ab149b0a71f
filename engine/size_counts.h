// Counts by grey level and by a second number: the form that four texture families share.
//
// GLRLM counts runs by level and length, GLSZM zones by level and size, GLDZM zones by level and
// distance to the border, NGLDM voxels by level and dependence. Their features are the same
// functions of the counts under other names.
//
// Notation: s(i, j) counts of level i and number j >= 1; N_s their sum; N_v voxels of the region.
// Source: IBSI reference manual, "Grey level run length based features" (TP0I) and the three
// families after it; Galloway 1975; Thibault et al. 2014; Sun & Wee 1983.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/feature_list.h"

namespace consilium::engine {

class SizeCounts {
 public:
  struct Entry {
    std::uint32_t level = 0, number = 0;
    double count = 0;  // a whole number, unless it was scaled
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  SizeCounts() = default;
  // One count for each (level, number) of `items`, in any order; `voxels` is N_v.
  struct Item {
    std::uint32_t level = 0, number = 0;
  };
  SizeCounts(std::vector<Item> items, std::size_t voxels);
  // From a table [levels + 1 x numbers + 1], rows by level; row and column 0 are not read.
  SizeCounts(std::span<const std::uint32_t> table, std::size_t numbers, std::size_t voxels);

  // By level, then number; every count > 0.
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] double voxels() const { return voxels_; }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  // Voxels add up too: merged directions have each voxel once a direction.
  void Add(const SizeCounts& other);
  void Scale(double factor);  // counts and voxels; > 0

 private:
  std::vector<Entry> entries_;
  double voxels_ = 0;
};

// All NaN where nothing was counted.
struct SizeFeatures : Averaged<SizeFeatures> {
  double small_emphasis = kUndefined, large_emphasis = kUndefined, low_grey_emphasis = kUndefined,
         high_grey_emphasis = kUndefined, small_low_grey_emphasis = kUndefined,
         small_high_grey_emphasis = kUndefined, large_low_grey_emphasis = kUndefined,
         large_high_grey_emphasis = kUndefined, grey_non_uniformity = kUndefined,
         grey_non_uniformity_normalised = kUndefined, number_non_uniformity = kUndefined,
         number_non_uniformity_normalised = kUndefined, percentage = kUndefined,
         grey_variance = kUndefined, number_variance = kUndefined, entropy = kUndefined,
         energy = kUndefined;

  // In the order of the families' lists.
  template <typename Features, typename Visitor>
  static void Visit(Features&& f, Visitor&& visit) {
    const FeatureName none;
    for (auto* value :
         {&f.small_emphasis, &f.large_emphasis, &f.low_grey_emphasis, &f.high_grey_emphasis,
          &f.small_low_grey_emphasis, &f.small_high_grey_emphasis, &f.large_low_grey_emphasis,
          &f.large_high_grey_emphasis, &f.grey_non_uniformity, &f.grey_non_uniformity_normalised,
          &f.number_non_uniformity, &f.number_non_uniformity_normalised, &f.percentage,
          &f.grey_variance, &f.number_variance, &f.entropy, &f.energy})
      visit(none, *value);
  }
};
[[nodiscard]] SizeFeatures FeaturesOf(const SizeCounts& counts);

// The names of a family's features, in the order of SizeFeatures::Visit; the last (energy) is
// NGLDM's alone. VisitAs(features, names, visit) visits as many as there are names.
[[nodiscard]] std::span<const FeatureName> GlrlmNames();  // [16]
[[nodiscard]] std::span<const FeatureName> GlszmNames();  // [16]
[[nodiscard]] std::span<const FeatureName> GldzmNames();  // [16]
[[nodiscard]] std::span<const FeatureName> NgldmNames();  // [17]
template <typename Visitor>
void VisitAs(const SizeFeatures& features, std::span<const FeatureName> names, Visitor&& visit) {
  std::size_t next = 0;
  SizeFeatures::Visit(features, [&](const FeatureName&, const double& value) {
    if (next < names.size()) visit(names[next], value);
    ++next;
  });
}

}  // namespace consilium::engine
