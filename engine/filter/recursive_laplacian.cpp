#include "engine/filter/recursive_laplacian.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/portable_math.h"
#include "engine/trigonometry.h"
#include "engine/vector_clones.h"

namespace consilium::engine {
namespace {

constexpr double kMarginSigmas = 12;
constexpr int kVoxelsMin = 4;  // the recursions look back on four

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

// Lines side by side in registers as wide as the machine's: wider ones would go through memory.
template <std::size_t kLanes>
struct Register {
  typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double))));
  typedef float Singles __attribute__((vector_size(kLanes * sizeof(float))));
};
constexpr std::size_t kGroups = 2;  // of such lines: sums of one need not wait for the other's
constexpr std::size_t kWide = 8, kNarrow = 4;
constexpr std::size_t kLines = kWide * kGroups;  // that are filtered at once

// The last four inputs and outputs of a recursion, newest first.
template <std::size_t kLanes>
struct History {
  using Lanes = typename Register<kLanes>::Lanes;
  Lanes in[4], out[4];

  // The line was `border` without end, and the recursion has settled: at `rest` times it.
  [[gnu::always_inline]] void Begin(const Lanes& border, double rest) {
    for (std::size_t k = 0; k < 4; ++k) {
      in[k] = border;
      out[k] = border * rest;
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

// Voxels `first` to `last` - 1 of lines of `length` are kept.
struct Kept {
  std::size_t length, first, last;
};

// kLanes * kGroups lines side by side: voxel i of `x` is at i * step_in, the k-th kept of `y` at
// k * step_out. `forwards` has room for kept.last * kLines. Each lane does the same additions and
// products whatever the width of the machine's vectors, none fused.
template <std::size_t kLanes>
[[gnu::always_inline]] inline void FilterSome(const Recursion& r, const Kept& kept, const float* x,
                                              std::size_t step_in, double* forwards, float* y,
                                              std::size_t step_out) {
  using Lanes = typename Register<kLanes>::Lanes;
  using Singles = typename Register<kLanes>::Singles;
  constexpr std::size_t kSome = kLanes * kGroups;
  const double sum_d = 1 + r.d[0] + r.d[1] + r.d[2] + r.d[3];
  const std::array<double, 4> n = r.n, m = r.m, d = r.d;
  History<kLanes> history[kGroups];
  Singles single;
  Lanes next;
  for (std::size_t g = 0; g < kGroups; ++g) {
    std::memcpy(&single, x + g * kLanes, sizeof single);
    history[g].Begin(__builtin_convertvector(single, Lanes), (n[0] + n[1] + n[2] + n[3]) / sum_d);
  }
  for (std::size_t i = 0; i < kept.last; ++i) {
    for (std::size_t g = 0; g < kGroups; ++g) {
      std::memcpy(&single, x + i * step_in + g * kLanes, sizeof single);
      history[g].PutIn(__builtin_convertvector(single, Lanes));
      history[g].Next(n, d, next);
      history[g].PutOut(next);
      if (i >= kept.first) std::memcpy(forwards + i * kSome + g * kLanes, &next, sizeof next);
    }
  }
  for (std::size_t g = 0; g < kGroups; ++g) {
    std::memcpy(&single, x + (kept.length - 1) * step_in + g * kLanes, sizeof single);
    history[g].Begin(__builtin_convertvector(single, Lanes), (m[0] + m[1] + m[2] + m[3]) / sum_d);
  }
  for (std::size_t i = kept.length; i-- > kept.first;) {
    for (std::size_t g = 0; g < kGroups; ++g) {
      history[g].Next(m, d, next);
      history[g].PutOut(next);
      std::memcpy(&single, x + i * step_in + g * kLanes, sizeof single);
      history[g].PutIn(__builtin_convertvector(single, Lanes));
      if (i >= kept.last) continue;
      Lanes forward;
      std::memcpy(&forward, forwards + i * kSome + g * kLanes, sizeof forward);
      single = __builtin_convertvector(forward + next, Singles);
      std::memcpy(y + (i - kept.first) * step_out + g * kLanes, &single, sizeof single);
    }
  }
}
CONSILIUM_VECTOR_CLONES("avx512f")
void FilterWide(const Recursion& r, const Kept& kept, const float* x, std::size_t step_in,
                double* forwards, float* y, std::size_t step_out) {
  FilterSome<kWide>(r, kept, x, step_in, forwards, y, step_out);
}
CONSILIUM_VECTOR_CLONES("avx2")
void FilterNarrow(const Recursion& r, const Kept& kept, const float* x, std::size_t step_in,
                  double* forwards, float* y, std::size_t step_out) {
  FilterSome<kNarrow>(r, kept, x, step_in, forwards, y, step_out);
}
// kLines of them.
void Filter(const Recursion& r, const Kept& kept, const float* x, std::size_t step_in,
            double* forwards, float* y, std::size_t step_out) {
  static const bool kHasWide = __builtin_cpu_supports("avx512f") != 0;
  if (kHasWide) return FilterWide(r, kept, x, step_in, forwards, y, step_out);
  for (std::size_t line = 0; line < kLines; line += kNarrow * kGroups)
    FilterNarrow(r, kept, x + line, step_in, forwards, y + line, step_out);
}

using Strides = std::array<std::size_t, 3>;
Strides StridesOf(const Grid& grid) { return {1, grid.Index(0, 1, 0), grid.Index(0, 0, 1)}; }

// Voxels somewhere in memory, side by side along x.
template <typename Number>
struct View {
  Number* voxels;
  std::array<int, 3> size;
  Strides strides;
  // Those at one place along an axis.
  [[nodiscard]] View At(std::size_t axis, int place) const {
    View plane = *this;
    plane.voxels += static_cast<std::size_t>(place) * strides[axis];
    plane.size[axis] = 1;
    return plane;
  }
};
// Room for voxels that are all written before they are read.
struct Part {
  Grid grid;
  std::unique_ptr<float[]> values = std::make_unique_for_overwrite<float[]>(grid.voxel_count());
  [[nodiscard]] View<float> view() { return {values.get(), grid.size, StridesOf(grid)}; }
};

CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
void Add(const float* part, std::span<float> sum) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
}

void Copy(const float* from, std::size_t count, float* to) { std::copy_n(from, count, to); }
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
void Copy(const double* from, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
}

template <typename Number>
void CopyRows(const Number* from, std::size_t from_stride, std::size_t rows, std::size_t columns,
              float* to, std::size_t to_stride) {
  for (std::size_t r = 0; r < rows; ++r) Copy(from + r * from_stride, columns, to + r * to_stride);
}

// A plane in single precision and together in memory, where the cache has it: its rows may lie far
// apart.
template <typename Number>
View<float> Gathered(const View<Number>& plane, std::vector<float>& room) {
  const Grid grid{plane.size};
  room.resize(grid.voxel_count());
  const std::size_t down = plane.size[1] > 1 ? 1 : 2;
  const auto row = static_cast<std::size_t>(plane.size[0]);
  CopyRows(plane.voxels, plane.strides[down], static_cast<std::size_t>(plane.size[down]), row,
           room.data(), row);
  return {room.data(), plane.size, StridesOf(grid)};
}

// to[c][r] = from[r][c] of a matrix [rows x columns]; strides between rows of either.
void Transpose(const float* from, std::size_t from_stride, std::size_t rows, std::size_t columns,
               float* to, std::size_t to_stride) {
  typedef float Four __attribute__((vector_size(4 * sizeof(float)), aligned(sizeof(float))));
  const auto one_by_one = [&](std::size_t r, std::size_t first_column) {
    for (std::size_t c = first_column; c < columns; ++c)
      to[c * to_stride + r] = from[r * from_stride + c];
  };
  std::size_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    std::size_t c = 0;
    for (; c + 4 <= columns; c += 4) {
      Four row[4];
      for (std::size_t k = 0; k < 4; ++k)
        std::memcpy(&row[k], from + (r + k) * from_stride + c, sizeof row[k]);
      const Four low = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5),
                 low_next = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5),
                 high = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7),
                 high_next = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
      const Four column[4] = {__builtin_shufflevector(low, low_next, 0, 1, 4, 5),
                              __builtin_shufflevector(low, low_next, 2, 3, 6, 7),
                              __builtin_shufflevector(high, high_next, 0, 1, 4, 5),
                              __builtin_shufflevector(high, high_next, 2, 3, 6, 7)};
      for (std::size_t k = 0; k < 4; ++k)
        std::memcpy(to + (c + k) * to_stride + r, &column[k], sizeof column[k]);
    }
    for (std::size_t k = 0; k < 4; ++k) one_by_one(r + k, c);
  }
  for (; r < rows; ++r) one_by_one(r, 0);
}

// Filters planes along one axis; keeps `count` voxels from `first` of it.
class AlongAxis {
 public:
  AlongAxis(std::size_t axis, const Recursion& recursion, int length, int first, int count)
      : axis_(axis),
        recursion_(recursion),
        kept_{static_cast<std::size_t>(length), static_cast<std::size_t>(first),
              static_cast<std::size_t>(first + count)},
        forwards_(kept_.last * kLines) {}

  // One of the two other axes has a single place.
  void Apply(const View<float>& from, const View<float>& to) {
    const std::size_t across = axis_ == 0 ? (from.size[1] > 1 ? 1 : 2) : 0;  // lines lie so
    const auto lines = static_cast<std::size_t>(from.size[across]), some = std::min(kLines, lines);
    // Lines along x, or of which there are too few, are moved to lie side by side in memory.
    const bool turn = axis_ == 0, move = turn || lines < kLines;
    if (move) {
      in_.resize(kept_.length * kLines);
      out_.resize(count() * kLines);
    }
    for (std::size_t next = 0; next < lines; next += kLines) {
      // The last ones again, where fewer are left.
      const std::size_t line = std::min(next, lines - some);
      const float* read = from.voxels + line * from.strides[across];
      float* write = to.voxels + line * to.strides[across];
      if (!move) {
        Filter(recursion_, kept_, read, from.strides[axis_], forwards_.data(), write,
               to.strides[axis_]);
        continue;
      }
      if (turn) {
        Transpose(read, from.strides[across], some, kept_.length, in_.data(), kLines);
      } else {
        CopyRows(read, from.strides[axis_], kept_.length, some, in_.data(), kLines);
      }
      Filter(recursion_, kept_, in_.data(), kLines, forwards_.data(), out_.data(), kLines);
      if (turn) {
        Transpose(out_.data(), kLines, count(), some, write, to.strides[across]);
      } else {
        CopyRows(out_.data(), kLines, count(), some, write, to.strides[axis_]);
      }
    }
  }

 private:
  [[nodiscard]] std::size_t count() const { return kept_.last - kept_.first; }
  std::size_t axis_;
  Recursion recursion_;
  Kept kept_;
  std::vector<double> forwards_;
  std::vector<float> in_, out_;
};

struct Term {
  AlongAxis derive, smooth_then, smooth_last;
  Part derived, smoothed;  // of one plane, of all planes
};

// `values`: those of the image, in single or double precision.
template <typename Number>
Result<Image> Laplacian(const Grid& grid, const std::vector<Number>& values, double sigma_mm,
                        const Box& box) {
  if (!(sigma_mm > 0) || !std::isfinite(sigma_mm)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("sigma = {} mm, must be > 0", sigma_mm));
  }
  Grid kept{{}, grid.spacing_mm};
  std::array<int, 3> first{}, size{};  // of the image that the box can see
  std::array<Recursion, 3> smooth, second;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const int whole = grid.size[axis];
    if (whole < kVoxelsMin) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the image has {} voxels along axis {}, and a Laplacian of Gaussian "
                              "needs {}",
                              whole, "xyz"[axis], kVoxelsMin));
    }
    const double sigma = sigma_mm / grid.spacing_mm[axis];
    const int margin = static_cast<int>(std::ceil(kMarginSigmas * sigma)) + kVoxelsMin;
    kept.size[axis] = box.last[axis] - box.first[axis] + 1;
    first[axis] = std::max(0, box.first[axis] - margin);
    size[axis] = std::min(whole - 1, box.last[axis] + margin) - first[axis] + 1;
    smooth[axis] = RecursionOf(sigma, false);
    second[axis] = RecursionOf(sigma, true);
    const double scale = sigma * sigma;  // sigma_mm squared over the spacing squared
    for (std::size_t k = 0; k < 4; ++k) {
      second[axis].n[k] *= scale;
      second[axis].m[k] *= scale;
    }
  }
  const View<const Number> seen{&values[grid.Index(first[0], first[1], first[2])], size,
                                StridesOf(grid)};
  // A term: the second derivative along one axis, smoothed along the two others in their order.
  // Planes that two terms begin with are read once.
  std::vector<float> sum(kept.voxel_count()), room;
  for (const std::size_t last : {2U, 1U}) {
    std::vector<Term> terms;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const std::size_t then = axis == 0 ? 1 : 0;
      if (axis + then + last != 3) continue;
      const auto along = [&](std::size_t of, const Recursion& by) {
        return AlongAxis(of, by, size[of], box.first[of] - first[of], kept.size[of]);
      };
      Grid derived = kept, smoothed = kept;
      derived.size[then] = size[then];
      derived.size[last] = 1;
      smoothed.size[last] = size[last];
      terms.push_back({along(axis, second[axis]),
                       along(then, smooth[then]),
                       along(last, smooth[last]),
                       {derived},
                       {smoothed}});
    }
    for (int k = 0; k < size[last]; ++k) {
      const View<float> plane = Gathered(seen.At(last, k), room);
      for (Term& term : terms) {
        term.derive.Apply(plane, term.derived.view());
        term.smooth_then.Apply(term.derived.view(), term.smoothed.view().At(last, k));
      }
    }
    Part part{kept};
    const std::size_t across = last == 1 ? 2 : 1;
    for (Term& term : terms) {
      for (int k = 0; k < kept.size[across]; ++k) {
        term.smooth_last.Apply(Gathered(term.smoothed.view().At(across, k), room),
                               part.view().At(across, k));
      }
      Add(part.values.get(), sum);
    }
  }
  return Image{kept, std::move(sum)};
}

}  // namespace

Result<Image> LaplacianOfGaussian(const Image& image, double sigma_mm, const Box& box) {
  return image.values.Visit(
      [&](const auto& values) { return Laplacian(image.grid, values, sigma_mm, box); });
}

}  // namespace consilium::engine
