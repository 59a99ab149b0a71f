// The undecimated wavelet transform, as PyRadiomics has it: eight sub-bands of one level.
//
// Along each axis the image is filtered low (L) and high (H); a sub-band's letters are those of x,
// y, z. The image goes on periodically; an axis of odd length has its first voxel once more at its
// end, as PyRadiomics pads it. Sub-band at voxel o: sum_j f_j x_(o + F/2 - j), F taps (PyWavelets'
// swtn). Source: Coifman & Donoho, Translation-invariant de-noising, 1995; filters: Daubechies, Ten
// Lectures on Wavelets, 1992, tables 6.1 and 8.1.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

// Decomposition filters of equal, even length.
struct WaveletFilters {
  std::vector<double> low, high;
};
// By PyWavelets' name. Errors: kNotFound (not known here: lists what is).
[[nodiscard]] Result<WaveletFilters> WaveletNamed(std::string_view name);

struct SubBand {
  std::string name;  // "LLH"
  Image image;
};
// All eight, cut to `box` (not empty, within the grid), LLL first, the last letter changing
// fastest.
[[nodiscard]] std::vector<SubBand> StationaryWavelet(const Image& image,
                                                     const WaveletFilters& filters, const Box& box);

}  // namespace consilium::engine
