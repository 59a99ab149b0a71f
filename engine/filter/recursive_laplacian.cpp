#include "engine/filter/recursive_laplacian.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/portable_math.h"
#include "engine/trigonometry.h"

namespace consilium::engine {
namespace {

constexpr double kMarginSigmas = 12;
constexpr int kVoxelsMin = 4;  // the recursions look back on four
constexpr std::size_t kLanes = 16;

// y_n = sum n_k x_{n-k} - sum d_k y_{n-k} forwards, with m for n and k from 1 backwards.
struct Recursion {
  std::array<double, 4> n{}, m{}, d{};
};

// One of the two exponential series that are fitted to a Gaussian: a cos + b sin, times exp.
struct Series {
  double a, b, w, l;
};

struct Numerator {
  std::array<double, 4> n{};
  [[nodiscard]] double Sum(const std::array<double, 4>& weights) const {
    return n[0] * weights[0] + n[1] * weights[1] + n[2] * weights[2] + n[3] * weights[3];
  }
};

Numerator NumeratorOf(double sigma, const Series& one, const Series& two) {
  const auto [sin1, cos1] = SineCosineOf(one.w / sigma);
  const auto [sin2, cos2] = SineCosineOf(two.w / sigma);
  const double exp1 = Exp(one.l / sigma), exp2 = Exp(two.l / sigma);
  Numerator f;
  f.n[0] = one.a + two.a;
  f.n[1] = exp2 * (two.b * sin2 - (two.a + 2 * one.a) * cos2) +
           exp1 * (one.b * sin1 - (one.a + 2 * two.a) * cos1);
  f.n[2] = 2 * exp1 * exp2 *
               ((one.a + two.a) * cos2 * cos1 - one.b * cos2 * sin1 - two.b * cos1 * sin2) +
           two.a * exp1 * exp1 + one.a * exp2 * exp2;
  f.n[3] = exp2 * exp1 * exp1 * (two.b * sin2 - two.a * cos2) +
           exp1 * exp2 * exp2 * (one.b * sin1 - one.a * cos1);
  return f;
}

// sigma in voxels. The Gaussian sums to 1; its second derivative has the second moment 2.
Recursion RecursionOf(double sigma, bool second_derivative) {
  const Series g1{1.3530, 1.8151, 0.6681, -1.3932}, g2{-0.3531, 0.0902, 2.0787, -1.3732};
  const Series s1{-1.3563, 5.2318, 0.6681, -1.3932}, s2{0.3446, -2.2355, 2.0787, -1.3732};
  const double cos1 = SineCosineOf(g1.w / sigma).cosine, cos2 = SineCosineOf(g2.w / sigma).cosine,
               exp1 = Exp(g1.l / sigma), exp2 = Exp(g2.l / sigma);
  Recursion r;
  r.d = {-2 * (exp2 * cos2 + exp1 * cos1),
         4 * cos2 * cos1 * exp1 * exp2 + exp1 * exp1 + exp2 * exp2,
         -2 * cos1 * exp1 * exp2 * exp2 - 2 * cos2 * exp2 * exp1 * exp1, exp1 * exp1 * exp2 * exp2};
  constexpr std::array<double, 4> kOnes = {1, 1, 1, 1}, kFirst = {0, 1, 2, 3},
                                  kSecond = {0, 1, 4, 9};
  const double sum_d = 1 + r.d[0] + r.d[1] + r.d[2] + r.d[3],
               first_d = r.d[0] + 2 * r.d[1] + 3 * r.d[2] + 4 * r.d[3],
               second_d = r.d[0] + 4 * r.d[1] + 9 * r.d[2] + 16 * r.d[3];
  Numerator gauss = NumeratorOf(sigma, g1, g2);
  double norm = 2 * gauss.Sum(kOnes) / sum_d - gauss.n[0];
  if (second_derivative) {
    const Numerator second = NumeratorOf(sigma, s1, s2);
    const double beta = -(2 * second.Sum(kOnes) - sum_d * second.n[0]) /
                        (2 * gauss.Sum(kOnes) - sum_d * gauss.n[0]);
    for (std::size_t k = 0; k < 4; ++k) gauss.n[k] = second.n[k] + beta * gauss.n[k];
    const double sum_n = gauss.Sum(kOnes), first_n = gauss.Sum(kFirst),
                 second_n = gauss.Sum(kSecond);
    norm = (second_n * sum_d * sum_d - second_d * sum_n * sum_d - 2 * first_n * first_d * sum_d +
            2 * first_d * first_d * sum_n) /
           (sum_d * sum_d * sum_d);
  }
  for (std::size_t k = 0; k < 4; ++k) r.n[k] = gauss.n[k] / norm;
  for (std::size_t k = 0; k < 3; ++k) r.m[k] = r.n[k + 1] - r.d[k] * r.n[0];
  r.m[3] = -r.d[3] * r.n[0];
  return r;
}

// The last four inputs and outputs of a recursion on kLanes lines, newest first.
struct History {
  std::array<std::array<double, kLanes>, 4> in{}, out{};

  // The line was `border` without end, and the recursion has settled: at `rest` times it.
  [[gnu::always_inline]] void Begin(const double* border, double rest) {
    for (std::size_t k = 0; k < 4; ++k) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        in[k][lane] = border[lane];
        out[k][lane] = border[lane] * rest;
      }
    }
  }
  [[gnu::always_inline]] void PutIn(std::size_t lane, double value) {
    for (std::size_t k = 3; k > 0; --k) in[k][lane] = in[k - 1][lane];
    in[0][lane] = value;
  }
  [[gnu::always_inline]] double PutOut(std::size_t lane, double value) {
    for (std::size_t k = 3; k > 0; --k) out[k][lane] = out[k - 1][lane];
    out[0][lane] = value;
    return value;
  }
  [[nodiscard, gnu::always_inline]] double Next(std::size_t lane,
                                                const std::array<double, 4>& of_in,
                                                const std::array<double, 4>& of_out) const {
    return in[0][lane] * of_in[0] + in[1][lane] * of_in[1] + in[2][lane] * of_in[2] +
           in[3][lane] * of_in[3] -
           (out[0][lane] * of_out[0] + out[1][lane] * of_out[1] + out[2][lane] * of_out[2] +
            out[3][lane] * of_out[3]);
  }
};

// Filters kLanes lines at once: `x_of` [length][kLanes] in place, `forwards_of` of the same size.
// Each lane does the same additions and products whatever the width of the machine's vectors, none
// fused.
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3"))) void Filter(
    const Recursion& r, std::size_t length, std::vector<double>& x_of,
    std::vector<double>& forwards_of) {
  double* __restrict x = x_of.data();
  double* __restrict forwards = forwards_of.data();
  const double sum_d = 1 + r.d[0] + r.d[1] + r.d[2] + r.d[3];
  History history;
  history.Begin(x, (r.n[0] + r.n[1] + r.n[2] + r.n[3]) / sum_d);
  for (std::size_t i = 0; i < length; ++i) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      history.PutIn(lane, x[i * kLanes + lane]);
      forwards[i * kLanes + lane] = history.PutOut(lane, history.Next(lane, r.n, r.d));
    }
  }
  history.Begin(&x[(length - 1) * kLanes], (r.m[0] + r.m[1] + r.m[2] + r.m[3]) / sum_d);
  for (std::size_t i = length; i-- > 0;) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double now = x[i * kLanes + lane];
      x[i * kLanes + lane] =
          forwards[i * kLanes + lane] + history.PutOut(lane, history.Next(lane, r.m, r.d));
      history.PutIn(lane, now);
    }
  }
}

using Voxels = std::vector<float>;

Voxels AlongAxis(const Voxels& from, const Grid& grid, std::size_t axis, const Recursion& r) {
  Voxels to(from.size());
  const std::array<std::size_t, 3> stride = {1, grid.Index(0, 1, 0), grid.Index(0, 0, 1)};
  const std::size_t u = axis == 0 ? 1 : 0, v = axis == 2 ? 1 : 2;  // lanes run along u
  const auto length = static_cast<std::size_t>(grid.size[axis]),
             lines = static_cast<std::size_t>(grid.size[u]);
  std::vector<double> x(length * kLanes), forwards(length * kLanes);
  for (std::size_t j = 0; j < static_cast<std::size_t>(grid.size[v]); ++j) {
    for (std::size_t first = 0; first < lines; first += kLanes) {
      const std::size_t lanes = std::min(kLanes, lines - first);
      const std::size_t begin = j * stride[v] + first * stride[u];
      for (std::size_t i = 0; i < length; ++i) {
        for (std::size_t lane = 0; lane < lanes; ++lane)
          x[i * kLanes + lane] = from[begin + i * stride[axis] + lane * stride[u]];
      }
      Filter(r, length, x, forwards);
      for (std::size_t i = 0; i < length; ++i) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          to[begin + i * stride[axis] + lane * stride[u]] =
              static_cast<float>(x[i * kLanes + lane]);
        }
      }
    }
  }
  return to;
}

}  // namespace

Result<Image> LaplacianOfGaussian(const Image& image, double sigma_mm, const Box& box) {
  if (!(sigma_mm > 0) || !std::isfinite(sigma_mm)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("sigma = {} mm, must be > 0", sigma_mm));
  }
  Grid grid{{}, image.grid.spacing_mm};
  std::array<int, 3> first{};
  std::array<Recursion, 3> smooth, second;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const int size = image.grid.size[axis];
    if (size < kVoxelsMin) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the image has {} voxels along axis {}, and a Laplacian of Gaussian "
                              "needs {}",
                              size, "xyz"[axis], kVoxelsMin));
    }
    const double sigma = sigma_mm / grid.spacing_mm[axis];
    const int margin = static_cast<int>(std::ceil(kMarginSigmas * sigma)) + kVoxelsMin;
    first[axis] = std::max(0, box.first[axis] - margin);
    grid.size[axis] = std::min(size - 1, box.last[axis] + margin) - first[axis] + 1;
    smooth[axis] = RecursionOf(sigma, false);
    second[axis] = RecursionOf(sigma, true);
    const double scale = sigma * sigma;  // sigma_mm squared over the spacing squared
    for (std::size_t k = 0; k < 4; ++k) {
      second[axis].n[k] *= scale;
      second[axis].m[k] *= scale;
    }
  }
  Voxels from;
  from.reserve(grid.voxel_count());
  for (int z = 0; z < grid.size[2]; ++z) {
    for (int y = 0; y < grid.size[1]; ++y) {
      const double* row = &image.values[image.grid.Index(first[0], first[1] + y, first[2] + z)];
      from.insert(from.end(), row, row + grid.size[0]);
    }
  }
  Voxels sum(from.size());
  for (std::size_t axis = 0; axis < 3; ++axis) {
    Voxels part = AlongAxis(from, grid, axis, second[axis]);
    for (std::size_t other = 0; other < 3; ++other) {
      if (other != axis) part = AlongAxis(part, grid, other, smooth[other]);
    }
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
  }
  Image result;
  result.grid.spacing_mm = grid.spacing_mm;
  for (std::size_t axis = 0; axis < 3; ++axis)
    result.grid.size[axis] = box.last[axis] - box.first[axis] + 1;
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      const float* row = &sum[grid.Index(box.first[0] - first[0], y - first[1], z - first[2])];
      result.values.insert(result.values.end(), row, row + result.grid.size[0]);
    }
  }
  return result;
}

}  // namespace consilium::engine
