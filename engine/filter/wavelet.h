// The undecimated wavelet transform, as PyRadiomics has it: eight sub-bands a level.
//
// Along each axis the image is filtered low (L) and high (H); a sub-band's letters are those of x,
// y, z. The image goes on periodically; an axis of odd length has its first voxel once more at its
// end, as PyRadiomics pads it. Sub-band at voxel o: sum_j f_j x_(o + F/2 - j), F taps (PyWavelets'
// swtn). The next level is the same of LLL, with the same filters: not of twice their spacing, as
// in the transform a trous. With filters of single precision everything is in single precision
// (voxels, taps, products, sums; x first, then y, then z), and each bit is that of PyWavelets,
// which so transforms an image that is stored so. Source: Coifman & Donoho, Translation-invariant
// de-noising, 1995; PyWavelets 1.1.1, convolution in the mode "periodization" and its table of
// Coiflets; filters: engine/filter/wavelet_tables.h.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

enum class Precision { kDouble, kSingle };

// Decomposition filters of equal, even length.
struct WaveletFilters {
  std::vector<double> low, high;
  Precision precision = Precision::kDouble;  // of the taps and of what is made with them
};
// By PyWavelets' name: haar, those of WaveletTables, and rbio for every bior, whose two sides it
// exchanges. Single taps are rounded as PyWavelets has them: it tabulates Coiflets without their
// factor sqrt(2), and multiplies in single precision. Errors: kNotFound (not known here: lists what
// is).
[[nodiscard]] Result<WaveletFilters> WaveletNamed(std::string_view name,
                                                  Precision precision = Precision::kDouble);

struct SubBand {
  std::string name;  // "LLH"
  Image image;
  int level = 1;
};
// "wavelet-LLH" of the first level that is kept, "wavelet2-LLH" of the second.
[[nodiscard]] std::string PyradiomicsName(const SubBand& band);

struct StationaryLevels {
  int level = 1;        // how many are kept; >= 1
  int start_level = 0;  // how many come before them; >= 0
  // Axes that are filtered; a name has a letter for each of them only (PyRadiomics' force2D).
  std::array<bool, 3> along = {true, true, true};
};
// Visits the sub-bands cut to `box` (not empty, within the grid), level by level, the last letter
// changing fastest; LLL of the last level only, and last. In the filters' precision. One sub-band
// is kept at a time, and LLL. Errors: the visitor's, at which it ends.
using VisitSubBand = std::function<Result<void>(SubBand)>;
[[nodiscard]] Result<void> ForEachSubBand(const Image& image, const WaveletFilters& filters,
                                          const Box& box, const StationaryLevels& levels,
                                          const VisitSubBand& visit);
// All of them.
[[nodiscard]] std::vector<SubBand> StationaryWavelet(const Image& image,
                                                     const WaveletFilters& filters, const Box& box,
                                                     const StationaryLevels& levels = {});

}  // namespace consilium::engine
