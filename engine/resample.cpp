#include "engine/resample.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/interpolation.h"

namespace consilium::engine {
namespace {

constexpr double kVoxelsMax = 2147483648.0;

int Mirrored(int i, int n) {
  if (n == 1) return 0;
  const int period = 2 * (n - 1);
  i = ((i % period) + period) % period;
  return i < n ? i : period - i;
}

}  // namespace

Taps TapsAt(double position, int n, Interpolation how) {
  Taps taps;
  const auto add = [&](int at, double weight) {
    taps.at[static_cast<std::size_t>(taps.count)] = at;
    taps.weight[static_cast<std::size_t>(taps.count++)] = weight;
  };
  const int last = n - 1;
  if (how == Interpolation::kNearest) {
    add(std::clamp(static_cast<int>(std::floor(position + 0.5)), 0, last), 1);
    return taps;
  }
  const double below = std::floor(position), part = position - below;
  const auto i = static_cast<int>(below);
  if (how == Interpolation::kLinear) {
    add(std::clamp(i, 0, last), 1 - part);
    add(std::clamp(i + 1, 0, last), part);
    return taps;
  }
  const double rest = 1 - part;
  add(Mirrored(i - 1, n), rest * rest * rest / 6);
  add(Mirrored(i, n), 2.0 / 3 - part * part * (2 - part) / 2);
  add(Mirrored(i + 1, n), 2.0 / 3 - rest * rest * (2 - rest) / 2);
  add(Mirrored(i + 2, n), part * part * part / 6);
  return taps;
}

namespace {

// Values to coefficients of cubic B-splines through them, on one line of `n` at `stride`; mirrored
// at both ends (Unser 1999, box 2).
void ToCoefficients(double* line, int n, std::ptrdiff_t stride) {
  if (n == 1) return;
  const double pole = std::sqrt(3.0) - 2;
  const auto at = [&](int i) -> double& { return line[i * stride]; };
  for (int i = 0; i < n; ++i) at(i) *= 6;
  // The sum over the mirrored line before the first value, whose period is 2 n - 2.
  double sum = 0, power = 1;
  for (int i = 0; i < 2 * n - 2; ++i) {
    sum += power * at(Mirrored(i, n));
    power *= pole;
    if (std::abs(power) < 1e-18) break;
  }
  at(0) = sum / (1 - power);
  for (int i = 1; i < n; ++i) at(i) += pole * at(i - 1);
  at(n - 1) = pole / (pole * pole - 1) * (at(n - 1) + pole * at(n - 2));
  for (int i = n - 2; i >= 0; --i) at(i) = pole * (at(i + 1) - at(i));
}

std::array<std::ptrdiff_t, 3> StridesOf(const Grid& grid) {
  return {1, grid.size[0], static_cast<std::ptrdiff_t>(grid.size[0]) * grid.size[1]};
}

}  // namespace

void ToSplineCoefficients(Image& image, std::size_t axis) {
  const auto strides = StridesOf(image.grid);
  const std::size_t u = (axis + 1) % 3, v = (axis + 2) % 3;
  std::vector<double>& values = image.values.Doubles();
  for (int j = 0; j < image.grid.size[v]; ++j) {
    for (int i = 0; i < image.grid.size[u]; ++i) {
      ToCoefficients(&values[static_cast<std::size_t>(i * strides[u] + j * strides[v])],
                     image.grid.size[axis], strides[axis]);
    }
  }
}

namespace {

// Old positions, in old voxels, of the new voxels along an axis.
std::vector<double> PositionsAlong(std::size_t axis, const Grid& from, const Grid& to) {
  const double ratio = to.spacing_mm[axis] / from.spacing_mm[axis];
  const int n = from.size[axis], m = to.size[axis];
  std::vector<double> positions;
  for (int i = 0; i < m; ++i) positions.push_back((n - 1) / 2.0 + (i - (m - 1) / 2.0) * ratio);
  return positions;
}
std::vector<double> PositionsAlong(std::size_t axis, const PartialGrid& to) {
  std::vector<double> positions;
  for (int i = 0; i < to.grid.size[axis]; ++i)
    positions.push_back(to.first[axis] + i * to.step[axis]);
  return positions;
}
bool IsWithin(double position, int n) { return position >= -0.5 && position < n - 0.5; }

// `image` with new voxels along one axis.
enum class Outside { kNearest, kZero };
Image AlongAxis(const Image& image, std::size_t axis, const Grid& to,
                const std::vector<double>& positions, Interpolation how,
                Outside outside = Outside::kNearest) {
  Image old = image;
  const auto strides = StridesOf(old.grid);
  const int n = old.grid.size[axis];
  const std::size_t u = (axis + 1) % 3, v = (axis + 2) % 3;
  if (how == Interpolation::kCubicSpline) ToSplineCoefficients(old, axis);
  std::vector<Taps> taps;
  for (const double position : positions) {
    const bool none = outside == Outside::kZero && !IsWithin(position, n);
    taps.push_back(none ? Taps() : TapsAt(position, n, how));
  }
  Image result;
  result.grid = old.grid;
  result.grid.size[axis] = to.size[axis];
  result.grid.spacing_mm[axis] = to.spacing_mm[axis];
  std::vector<double> values(result.grid.voxel_count());
  const std::vector<double>& from = old.values.Doubles();
  const auto new_strides = StridesOf(result.grid);
  for (int j = 0; j < result.grid.size[v]; ++j) {
    for (int i = 0; i < result.grid.size[u]; ++i) {
      const double* line = &from[static_cast<std::size_t>(i * strides[u] + j * strides[v])];
      double* put = &values[static_cast<std::size_t>(i * new_strides[u] + j * new_strides[v])];
      for (const Taps& one : taps) {
        double sum = 0;
        for (std::size_t t = 0; t < static_cast<std::size_t>(one.count); ++t)
          sum += one.weight[t] * line[one.at[t] * strides[axis]];
        *put = sum;
        put += new_strides[axis];
      }
    }
  }
  result.values = std::move(values);
  return result;
}

}  // namespace

Result<Grid> ResampledGrid(const Grid& grid, const Resampling& how) {
  Grid to = grid;
  double voxels = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double spacing = how.spacing_mm[axis];
    if (!(spacing >= 0) || !std::isfinite(spacing)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("new spacing along axis {} is {} mm, must be > 0, or 0 to keep it",
                              axis, spacing));
    }
    if (spacing > 0) {
      constexpr double kRounding = 1e-9;  // 100 x 0.7 mm are 35 voxels of 2 mm, not 36
      const double size = std::ceil(grid.size[axis] * grid.spacing_mm[axis] / spacing - kRounding);
      voxels *= size;
      if (voxels >= kVoxelsMax) {
        return Fail(ErrorCode::kOutOfRange,
                    fmt::format("voxels of {} mm make an image of more than 2^31 of them; take "
                                "larger ones",
                                fmt::join(how.spacing_mm, " x ")));
      }
      to.size[axis] = std::max(1, static_cast<int>(size));
      to.spacing_mm[axis] = spacing;
    } else {
      voxels *= grid.size[axis];
    }
  }
  return to;
}

Result<Image> Resample(const Image& image, const Resampling& how) {
  const auto to = ResampledGrid(image.grid, how);
  CONSILIUM_TRY(to);
  Image result = image;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (how.spacing_mm[axis] == 0) continue;
    result = AlongAxis(result, axis, *to, PositionsAlong(axis, image.grid, *to), how.interpolation);
  }
  return result;
}

Result<Mask> Resample(const Mask& mask, const Resampling& how) {
  Image as_image{mask.grid, std::vector<double>(mask.inside.begin(), mask.inside.end())};
  const auto resampled = Resample(as_image, how);
  CONSILIUM_TRY(resampled);
  Mask result{resampled->grid, {}};
  result.inside.reserve(resampled->values.size());
  for (const double value : resampled->values)
    result.inside.push_back(value >= kInsideFrom ? 1 : 0);
  return result;
}

Result<PartialGrid> GridAround(const Box& box, const Grid& grid,
                               const std::array<double, 3>& spacing_mm, int pad) {
  PartialGrid to;
  double voxels = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double spacing = spacing_mm[axis], old = grid.spacing_mm[axis];
    if (!(spacing > 0) || !std::isfinite(spacing)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("new spacing along axis {} is {} mm, must be > 0", axis, spacing));
    }
    const double ratio = old / spacing;
    const double lower = std::max(0.0, std::floor((box.first[axis] - 0.5) * ratio - pad));
    const double upper = std::min(std::ceil(grid.size[axis] * ratio) - 1,
                                  std::ceil((box.last[axis] + 0.5) * ratio + pad));
    voxels *= upper - lower + 1;
    if (voxels >= kVoxelsMax) {
      return Fail(ErrorCode::kOutOfRange,
                  fmt::format("voxels of {} mm make an image of more than 2^31 of them; take "
                              "larger ones",
                              fmt::join(spacing_mm, " x ")));
    }
    to.grid.size[axis] = static_cast<int>(upper - lower + 1);
    to.grid.spacing_mm[axis] = spacing;
    to.first[axis] = 0.5 * (spacing - old) / old + lower / ratio;
    to.step[axis] = spacing / old;
  }
  return to;
}

Image Resample(const Image& image, const PartialGrid& to, Interpolation how) {
  Box near;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double last = to.first[axis] + to.step[axis] * (to.grid.size[axis] - 1);
    const int end = image.grid.size[axis] - 1;
    near.first[axis] = std::clamp(static_cast<int>(to.first[axis]) - kSplineReach, 0, end);
    near.last[axis] = std::clamp(static_cast<int>(last) + kSplineReach, 0, end);
  }
  Image result = Cut(image, near);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    std::vector<double> positions = PositionsAlong(axis, to);
    for (double& position : positions) position -= near.first[axis];
    result = AlongAxis(result, axis, to.grid, positions, how, Outside::kZero);
  }
  if (image.numbers.whole) {
    for (double& value : result.values.Doubles())
      value = std::trunc(std::clamp(value, image.numbers.lowest, image.numbers.highest));
  }
  if (image.numbers.single_precision) {
    for (double& value : result.values.Doubles()) value = static_cast<float>(value);
  }
  return result;
}

Mask Resample(const Mask& mask, const PartialGrid& to) {
  Mask result{to.grid, {}};
  result.inside.reserve(to.grid.voxel_count());
  std::array<std::vector<int>, 3> from;  // -1: outside
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (const double position : PositionsAlong(axis, to)) {
      const bool within = IsWithin(position, mask.grid.size[axis]);
      from[axis].push_back(within ? static_cast<int>(std::floor(position + 0.5)) : -1);
    }
  }
  for (const int z : from[2]) {
    for (const int y : from[1]) {
      for (const int x : from[0]) {
        const bool within = x >= 0 && y >= 0 && z >= 0;
        result.inside.push_back(within ? mask.inside[mask.grid.Index(x, y, z)] : 0);
      }
    }
  }
  return result;
}

}  // namespace consilium::engine
