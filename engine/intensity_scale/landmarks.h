// One intensity scale for all hospitals' images: landmarks of histograms are brought together.
//
// An image's landmarks are percentiles of its foreground. Each image's first and last landmark are
// mapped linearly to the ends of the standard scale and the others with them; the template is the
// mean of the mapped landmarks over images, so sums of landmarks and a count are all that hospitals
// exchange. An image is then brought to the template piecewise linearly, its end pieces prolonged.
// Sources: Nyul & Udupa, Magn. Reson. Med. 42:1072-1081, 1999; Nyul, Udupa & Zhang, IEEE TMI
// 19(2):143-150, 2000 (method L4: deciles).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

struct LandmarkRule {
  // Ascending, in [0, 100], two or more.
  std::vector<double> percentiles = {1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99};
  double low = 0, high = 100;  // the standard scale's ends; low < high
};

// What images contribute. Mapped landmarks are bounded: low <= landmark <= high, ascending.
struct LandmarkSums {
  LandmarkRule rule;
  std::int64_t images = 0;
  std::vector<double> landmarks;  // [rule.percentiles] sum over images
};
// Of one image. `foreground`: its intensities inside a mask (IntensitiesOf), or AboveMean.
// Errors: kInvalidArgument (a rule out of bounds, an intensity is not finite), kFailedPrecondition
// (no foreground, or its first and last landmark are equal).
[[nodiscard]] Result<LandmarkSums> LandmarksOf(std::span<const double> foreground,
                                               const LandmarkRule& rule = {});
// Errors: kInvalidArgument (other rules).
[[nodiscard]] Result<LandmarkSums> Together(const LandmarkSums& a, const LandmarkSums& b);

struct LandmarkTemplate {
  std::vector<double> percentiles;
  std::vector<double> landmarks;  // ascending, on the standard scale
};
// Errors: kFailedPrecondition (no image).
[[nodiscard]] Result<LandmarkTemplate> TemplateOf(const LandmarkSums& sums);

// `image` on the template's scale; landmarks of its own `foreground` that coincide count as one,
// which goes to the mean of theirs. Errors: those of LandmarksOf; kInvalidArgument (a template
// whose landmarks do not ascend, or are not as many as its percentiles).
[[nodiscard]] Result<Image> ToTemplate(const Image& image, std::span<const double> foreground,
                                       const LandmarkTemplate& standard);

// The foreground of an image without a mask: intensities above the mean of all voxels.
[[nodiscard]] std::vector<double> AboveMean(const Image& image);

}  // namespace consilium::engine
