// The filters of the IBSI-2 standard: an image in, a response map out.
//
// Filters convolve (kernels are flipped) and lengths are in mm where they have a unit. Axes are
// those of the grid, k1, k2, k3 = x, y, z; a 2D filter acts within each plane of one z. Rotation
// invariance means the kernel turned by right angles and the responses pooled. Only what the box
// and the filter's reach hold is touched, except by filters of the spectrum, which take the image
// as periodic and whole. Source: IBSI-2 reference manual (arXiv 2006.05470), "Convolutional
// filters"; Whybra et al., Radiology 310(2):e231319, 2024; conventions that the manual leaves open
// are those of its reference response maps.
#pragma once

#include <array>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "engine/filter/boundary.h"
#include "engine/filter/convolution.h"
#include "engine/grid.h"

namespace consilium::engine {

// The mean over a cube (3D) or a square (2D) of `support` voxels' side.
struct MeanFilter {
  int support = 5;  // odd, 1 to 1023
  Dimensions dimensions = Dimensions::k3d;
  Boundary boundary = Boundary::kMirror;
};

// The Laplacian of a Gaussian, sampled at the voxels and cut off at floor(cutoff sigma + 1/2)
// voxels along each axis; neither corrected to sum zero nor scaled. Derivatives are by voxels of x,
// so that unequal spacings only change the sampling.
struct LaplacianFilter {
  double sigma_mm = 1;       // > 0
  double cutoff_sigmas = 4;  // > 0
  Dimensions dimensions = Dimensions::k3d;
  Boundary boundary = Boundary::kMirror;
};

// Laws' kernels, one for each axis in order and each of norm 1: L3 E3 S3 L5 E5 S5 W5 R5. Two make
// the filter 2D, three 3D.
struct LawsFilter {
  std::string kernels = "L5E5E5";
  bool rotation_invariant = true;
  Pooling pooling = Pooling::kMax;
  // The mean of absolute responses over 2 delta + 1 voxels along each axis; 0 to 511, 0 for the
  // response itself.
  int energy_delta = 7;
  Boundary boundary = Boundary::kMirror;
};

// The modulus of Gabor's filter, exp(-(a^2 + gamma^2 b^2) / (2 sigma^2) + 2 pi i a / lambda), a and
// b turned by theta from the plane's first axis to its second; cut off at 6 sigma. Pooled over all
// directions, then averaged over the planes.
struct GaborFilter {
  double sigma_mm = 5, wavelength_mm = 2, gamma = 1.5;  // > 0
  double theta_deg = 0;
  double theta_step_deg = 0;  // 0: theta alone; else from theta in such steps, 360 a multiple
  Pooling pooling = Pooling::kMean;
  std::vector<std::array<int, 2>> planes = {{0, 1}};  // axes, e.g. {{0, 1}, {0, 2}, {1, 2}}
  Boundary boundary = Boundary::kMirror;
};

// A sub-band of a wavelet: low-pass filters of the levels before, then the band's of the level,
// whose taps lie 2^(level - 1) voxels apart (a trous). Undecimated, it has all voxels. Decimated,
// it has every 2^level-th of them along its axes, those whose places in the image are multiples of
// that: the same that halving each level's image before the next filter leaves (Shensa, IEEE
// Trans. Signal Process. 40:2464-2482, 1992), but that the boundary rule goes on from the image's
// border and not from a halved one's. A periodic image whose sides are multiples of 2^level has no
// such border.
struct WaveletFilter {
  std::string wavelet = "db3";  // see WaveletNamed
  std::string band = "LLH";     // L or H for each axis; two letters make the filter 2D
  int level = 1;                // 1 to 8
  bool rotation_invariant = true;
  Pooling pooling = Pooling::kMean;
  Boundary boundary = Boundary::kMirror;
  bool decimated = false;
};

// Simoncelli's wavelet, the same in all directions: the spectrum times cos(pi / 2 log2(2 w / pi))
// for pi / 4 < w <= pi, w the frequency times 2^(level - 1). Frequencies are those of the
// references' grid, symmetric about the middle of the spectrum. Periodic.
struct SimoncelliFilter {
  int level = 1;  // 1 to 16
  Dimensions dimensions = Dimensions::k3d;
};

// Riesz' transform of the given order along x, y, z of another filter's response: the spectrum
// times (-i)^l sqrt(l! / (l1! l2! l3!)) w1^l1 w2^l2 w3^l3 / |w|^l. Periodic.
inline constexpr int kRieszOrderMax = 8;
struct RieszFilter {
  std::array<int, 3> order = {1, 0, 0};  // each 0 to kRieszOrderMax, sum >= 1; z is 0 in 2D
  std::variant<LaplacianFilter, SimoncelliFilter> of;
};

using IbsiFilter = std::variant<MeanFilter, LaplacianFilter, LawsFilter, GaborFilter, WaveletFilter,
                                SimoncelliFilter, RieszFilter>;

// The voxels of `box` that a response in it has: those of Cut(image, sampling.box, sampling.step).
// All, but for decimated wavelets; sampling.box may be empty for these.
struct Sampling {
  Box box;
  Steps step = {1, 1, 1};
};
[[nodiscard]] Sampling SamplingOf(const IbsiFilter& filter, const Box& box);

// The response of `image` in `box` (not empty, within the grid), sampled as SamplingOf says.
// Errors: kInvalidArgument (a setting out of its bounds: names it; a sigma whose reach is above 511
// voxels; directions that need too much memory; a box without a voxel of a decimated wavelet),
// kNotFound (unknown wavelet).
[[nodiscard]] Result<Image> Filtered(const Image& image, const IbsiFilter& filter, const Box& box);

}  // namespace consilium::engine
