#include "engine/filter/recursive_laplacian.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/portable_math.h"
#include "engine/trigonometry.h"
#include "engine/vector_clones.h"

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

// Eight lines at once, wherever they lie in memory.
typedef double Lanes __attribute__((vector_size(8 * sizeof(double)), aligned(sizeof(double))));
constexpr std::size_t kGroups = kLanes * sizeof(double) / sizeof(Lanes);  // of eight lines

// The last four inputs and outputs of a recursion, newest first.
struct History {
  Lanes in[4], out[4];

  // The line was `border` without end, and the recursion has settled: at `rest` times it.
  [[gnu::always_inline]] void Begin(const double* border, double rest) {
    Lanes value;
    std::memcpy(&value, border, sizeof value);
    for (std::size_t k = 0; k < 4; ++k) {
      in[k] = value;
      out[k] = value * rest;
    }
  }
  [[gnu::always_inline]] void PutIn(const Lanes& value) {
    in[3] = in[2];
    in[2] = in[1];
    in[1] = in[0];
    in[0] = value;
  }
  [[gnu::always_inline]] void PutOut(const Lanes& value) {
    out[3] = out[2];
    out[2] = out[1];
    out[1] = out[0];
    out[0] = value;
  }
  [[gnu::always_inline]] void Next(const std::array<double, 4>& of_in,
                                   const std::array<double, 4>& of_out, Lanes& next) const {
    next = in[0] * of_in[0] + in[1] * of_in[1] + in[2] * of_in[2] + in[3] * of_in[3] -
           (out[0] * of_out[0] + out[1] * of_out[1] + out[2] * of_out[2] + out[3] * of_out[3]);
  }
};

// Filters kLanes lines at once: `x_of` [length][kLanes] in place, `forwards_of` of the same size.
// Each lane does the same additions and products whatever the width of the machine's vectors, none
// fused.
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
void Filter(const Recursion& r, std::size_t length, std::vector<double>& x_of,
            std::vector<double>& forwards_of) {
  double* __restrict x = x_of.data();
  double* __restrict forwards = forwards_of.data();
  const double sum_d = 1 + r.d[0] + r.d[1] + r.d[2] + r.d[3];
  const std::array<double, 4> n = r.n, m = r.m, d = r.d;
  History history[kGroups];
  const std::size_t group = kLanes / kGroups;
  for (std::size_t g = 0; g < kGroups; ++g)
    history[g].Begin(x + g * group, (n[0] + n[1] + n[2] + n[3]) / sum_d);
  for (std::size_t i = 0; i < length; ++i) {
    for (std::size_t g = 0; g < kGroups; ++g) {
      Lanes now, next;
      std::memcpy(&now, x + i * kLanes + g * group, sizeof now);
      history[g].PutIn(now);
      history[g].Next(n, d, next);
      history[g].PutOut(next);
      std::memcpy(forwards + i * kLanes + g * group, &next, sizeof next);
    }
  }
  for (std::size_t g = 0; g < kGroups; ++g)
    history[g].Begin(x + (length - 1) * kLanes + g * group, (m[0] + m[1] + m[2] + m[3]) / sum_d);
  for (std::size_t i = length; i-- > 0;) {
    for (std::size_t g = 0; g < kGroups; ++g) {
      Lanes now, forward, next;
      std::memcpy(&now, x + i * kLanes + g * group, sizeof now);
      std::memcpy(&forward, forwards + i * kLanes + g * group, sizeof forward);
      history[g].Next(m, d, next);
      history[g].PutOut(next);
      history[g].PutIn(now);
      forward += next;
      std::memcpy(x + i * kLanes + g * group, &forward, sizeof forward);
    }
  }
}

// Voxels in single precision, in the box that is still of use.
struct Part {
  Grid grid;
  std::vector<float> values;
};

// Walks memory in its order: lanes are neighbours unless the axis is x.
template <typename Work>
[[gnu::always_inline]] inline void ForEachLane(std::size_t axis, std::size_t lanes,
                                               std::size_t length, const Work& work) {
  if (axis == 0) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      for (std::size_t i = 0; i < length; ++i) work(i, lane);
    }
  } else {
    for (std::size_t i = 0; i < length; ++i) {
      for (std::size_t lane = 0; lane < lanes; ++lane) work(i, lane);
    }
  }
}

// `from` filtered along an axis, of which only `count` voxels from `first` are kept.
Part AlongAxis(const Part& from, std::size_t axis, const Recursion& r, int first, int count) {
  Part to{from.grid, {}};
  to.grid.size[axis] = count;
  to.values.resize(to.grid.voxel_count());
  const auto strides = [](const Grid& grid) {
    return std::array<std::size_t, 3>{1, grid.Index(0, 1, 0), grid.Index(0, 0, 1)};
  };
  const auto in = strides(from.grid), out = strides(to.grid);
  const std::size_t u = axis == 0 ? 1 : 0, v = axis == 2 ? 1 : 2;  // lanes run along u
  const auto length = static_cast<std::size_t>(from.grid.size[axis]),
             lines = static_cast<std::size_t>(from.grid.size[u]),
             begin = static_cast<std::size_t>(first), kept = static_cast<std::size_t>(count);
  std::vector<double> x(length * kLanes), forwards(length * kLanes);
  for (std::size_t j = 0; j < static_cast<std::size_t>(from.grid.size[v]); ++j) {
    for (std::size_t line = 0; line < lines; line += kLanes) {
      const std::size_t lanes = std::min(kLanes, lines - line);
      const float* read = &from.values[j * in[v] + line * in[u]];
      float* write = &to.values[j * out[v] + line * out[u]];
      ForEachLane(axis, lanes, length, [&](std::size_t i, std::size_t lane) {
        x[i * kLanes + lane] = read[i * in[axis] + lane * in[u]];
      });
      Filter(r, length, x, forwards);
      ForEachLane(axis, lanes, kept, [&](std::size_t i, std::size_t lane) {
        write[i * out[axis] + lane * out[u]] = static_cast<float>(x[(begin + i) * kLanes + lane]);
      });
    }
  }
  return to;
}

}  // namespace

Result<Image> LaplacianOfGaussian(const Image& image, double sigma_mm, const Box& box) {
  if (!(sigma_mm > 0) || !std::isfinite(sigma_mm)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("sigma = {} mm, must be > 0", sigma_mm));
  }
  Part from{{{}, image.grid.spacing_mm}, {}};
  Grid& grid = from.grid;
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
  from.values.reserve(grid.voxel_count());
  for (int z = 0; z < grid.size[2]; ++z) {
    for (int y = 0; y < grid.size[1]; ++y) {
      const double* row = &image.values[image.grid.Index(first[0], first[1] + y, first[2] + z)];
      from.values.insert(from.values.end(), row, row + grid.size[0]);
    }
  }
  Part sum;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto filtered = [&](const Part& part, std::size_t along, const Recursion& by) {
      return AlongAxis(part, along, by, box.first[along] - first[along],
                       box.last[along] - box.first[along] + 1);
    };
    Part part = filtered(from, axis, second[axis]);
    for (std::size_t other = 0; other < 3; ++other) {
      if (other != axis) part = filtered(part, other, smooth[other]);
    }
    sum.grid = part.grid;
    sum.values.resize(part.values.size());
    for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += part.values[i];
  }
  return Image{sum.grid, {sum.values.begin(), sum.values.end()}};
}

}  // namespace consilium::engine
