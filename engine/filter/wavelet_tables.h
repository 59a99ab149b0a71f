// The filters of the discrete wavelets, as PyWavelets tabulates them (its `dec_lo`).
//
// Facts: coefficients of Daubechies' extremal-phase wavelets (db), of the least asymmetric ones
// (sym), of Coiflets (coif), of the biorthogonal spline and nearly orthogonal ones (bior) and of a
// discrete approximation of Meyer's (dmey). Source: PyWavelets 1.1.1, table of coefficients (MIT
// licence); Daubechies, Ten Lectures on Wavelets, 1992, tables 6.1, 6.3, 8.1 to 8.3.
#pragma once

#include <span>
#include <string_view>

namespace consilium::engine {

struct WaveletTable {
  std::string_view name;
  std::span<const double> low;            // decomposition, of even length, sum sqrt(2)
  std::span<const double> synthesis_low;  // reconstruction; empty for `low` backwards (orthogonal)
};
// db1 to db38, sym2 to sym20, coif1 to coif17, the 15 bior, dmey.
[[nodiscard]] std::span<const WaveletTable> WaveletTables();

}  // namespace consilium::engine
