// The discrete Fourier transform of images, with the same bits on every machine.
//
// X_f = sum_k x_k exp(-2 pi i f k / n) along an axis, by Stockham's algorithm over the factors of
// n, by Bluestein's where one is a large prime; sixteen lines go at once. Not by a library, because
// those take sines and cosines from libm or choose their additions by CPU. Source: Van Loan,
// Computational Frameworks for the Fast Fourier Transform, 1992, sections 1.7 and 4.2.3.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <vector>

#include "engine/grid.h"

namespace consilium::engine {

// Voxels or frequencies in the order of Grid::Index.
using Spectrum = std::vector<std::complex<double>>;

enum class Direction { kForward, kInverse };  // the inverse divides by n

// In place, along the first `axes` of x, y, z. `values` [size[0] size[1] size[2]].
void Transform(Spectrum& values, const std::array<int, 3>& size, std::size_t axes,
               Direction direction);

// The smallest size >= n that has no prime factor above 5, which is transformed fast.
[[nodiscard]] int SmoothSize(int n);

}  // namespace consilium::engine
