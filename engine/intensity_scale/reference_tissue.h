// Intensities relative to a tissue that every patient has.
//
// With a mask of that tissue (muscle, the body of a healthy vertebra) its mean or median is the
// reference. Without one, the tissue is the stripe of intensities around a mode of the smoothed
// histogram: from quantile q - tau to q + tau of the foreground, q the share below the mode.
// Source: Shinohara et al., NeuroImage: Clinical 6:9-19, 2014 (WhiteStripe).
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

struct ReferenceTissue {
  double centre = 0;
  double spread = 0;
  std::size_t voxels = 0;
};
enum class TissueCentre {
  kMean,    // spread: SD, divided by n - 1
  kMedian,  // spread: 1.4826 times the median distance from the median
};
// Of a tissue's intensities. Errors: kInvalidArgument (one is not finite), kFailedPrecondition
// (fewer than two).
[[nodiscard]] Result<ReferenceTissue> ReferenceOf(std::span<const double> tissue,
                                                  TissueCentre centre = TissueCentre::kMean);

struct StripeRule {
  enum class Mode {
    kHighest,  // of the histogram
    kLast,     // the brightest: white matter, or fat, on T1
  };
  Mode mode = Mode::kHighest;
  double tau = 0.05;  // in (0, 0.5]
  // kLast: modes lower than this share of the highest are noise of the tail; in [0, 1].
  double height_min = 0.2;
};
struct Stripe {
  ReferenceTissue tissue;  // mean and SD of the stripe
  double mode = 0, low = 0, high = 0;
};
// The histogram has bins of a quarter of the smoother's width (wider ones where that makes more
// than 65,536) from the least intensity to the largest; the smoother is a Gaussian, cut at four
// widths, of Silverman's width 0.9 min(SD, IQR / 1.349) n^(-1/5) (Density Estimation, 1986, eq.
// 3.31; SD alone if IQR is 0). Of equal modes the darkest. Errors: kInvalidArgument (tau or
// height_min out of bounds, an intensity is not finite), kFailedPrecondition (the foreground or the
// stripe does not vary).
[[nodiscard]] Result<Stripe> StripeOf(std::span<const double> foreground,
                                      const StripeRule& rule = {});

enum class TissueScale {
  kStandardScore,  // (x - centre) / spread
  kRatio,          // x / centre
};
// Errors: kFailedPrecondition (spread, or for kRatio centre, is not > 0).
[[nodiscard]] Result<Image> ToReference(const Image& image, const ReferenceTissue& tissue,
                                        TissueScale scale = TissueScale::kStandardScore);

}  // namespace consilium::engine
