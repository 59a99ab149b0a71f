#include "engine/filter/local_binary_pattern_3d.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <numbers>
#include <span>
#include <utility>

#include "engine/interpolation.h"

namespace consilium::engine {
namespace {

using Point = std::array<double, 3>;

// Corners of an icosahedron and of its triangles cut in four, each time moved to the sphere.
std::vector<Point> Icosphere(int subdivisions, double radius) {
  const double golden = (1 + std::sqrt(5.0)) / 2, length = std::sqrt(2 + golden);
  std::vector<Point> points;
  for (const double one : {-1.0, 1.0}) {
    for (const double other : {-golden, golden}) {
      for (std::size_t axis = 0; axis < 3; ++axis) {
        Point point{};
        point[axis] = one / length;
        point[(axis + 1) % 3] = other / length;
        points.push_back(point);
      }
    }
  }
  const auto adjacent = [&](std::size_t a, std::size_t b) {
    double squares = 0;
    for (std::size_t axis = 0; axis < 3; ++axis)
      squares += (points[a][axis] - points[b][axis]) * (points[a][axis] - points[b][axis]);
    return squares * length * length < 5;  // 4 along an edge, else 10 or more
  };
  std::vector<std::array<std::size_t, 3>> triangles;
  for (std::size_t c = 0; c < points.size(); ++c) {
    for (std::size_t b = 0; b < c; ++b) {
      for (std::size_t a = 0; a < b; ++a) {
        if (adjacent(a, b) && adjacent(b, c) && adjacent(c, a)) triangles.push_back({a, b, c});
      }
    }
  }
  const auto to_sphere = [&] {
    for (Point& p : points) {
      const double distance = std::sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
      for (double& x : p) x += x / distance * (radius - distance);
    }
  };
  for (int i = 0; i < subdivisions; ++i) {
    std::map<std::pair<std::size_t, std::size_t>, std::size_t> middles;
    const auto middle = [&](std::size_t a, std::size_t b) {
      const auto [found, fresh] = middles.try_emplace(std::minmax(a, b), points.size());
      if (fresh) {
        const Point p = points[a], q = points[b];
        points.push_back({(p[0] + q[0]) / 2, (p[1] + q[1]) / 2, (p[2] + q[2]) / 2});
      }
      return found->second;
    };
    std::vector<std::array<std::size_t, 3>> finer;
    for (const auto& [a, b, c] : triangles) {
      const std::size_t ab = middle(a, b), bc = middle(b, c), ca = middle(c, a);
      finer.insert(finer.end(), {{a, ab, ca}, {b, bc, ab}, {c, ca, bc}, {ab, bc, ca}});
    }
    triangles = std::move(finer);
    to_sphere();
  }
  if (subdivisions == 0) to_sphere();
  return points;
}

// Where a point lies once its angles are swapped: azimuth acos(z / r), polar angle atan2(y, x), of
// which harmonics take the cosine and the size of the sine.
Point Swapped(const Point& p, double radius) {
  const double cosine = std::clamp(p[2] / radius, -1.0, 1.0);
  const double across = std::sqrt(p[0] * p[0] + p[1] * p[1]);
  const double polar_cosine = across > 0 ? p[0] / across : 1,
               polar_sine = across > 0 ? std::abs(p[1]) / across : 0;
  return {polar_sine * cosine, polar_sine * std::sqrt(1 - cosine * cosine), polar_cosine};
}

// sum_m Y_nm(u) Y_nm(v), of each level [points x points]. The conjugate of Y_nm(v) is Y_nm of v
// mirrored in its azimuth, so that the addition theorem makes it (2 n + 1) / 4 pi P_n(cos), of the
// angle between one point and the other's mirror image.
std::vector<std::vector<double>> Kernels(const std::vector<Point>& points, double radius,
                                         int levels) {
  std::vector<Point> swapped;
  for (const Point& point : points) swapped.push_back(Swapped(point, radius));
  std::vector<std::vector<double>> kernels(static_cast<std::size_t>(levels));
  for (const Point& u : swapped) {
    for (const Point& v : swapped) {
      const double cosine = u[0] * v[0] - u[1] * v[1] + u[2] * v[2];
      double before = 0, legendre = 1;
      for (int n = 0; n < levels; ++n) {
        kernels[static_cast<std::size_t>(n)].push_back((2 * n + 1) * legendre /
                                                       (4 * std::numbers::pi));
        const double next = ((2 * n + 1) * cosine * legendre - n * before) / (n + 1);
        before = std::exchange(legendre, next);
      }
    }
  }
  return kernels;
}

// Intensities at the points around the voxels of a box, a row at a time.
class Samples {
 public:
  Samples(const Image& image, const Box& box, const std::vector<Point>& points, double radius)
      : size_(image.grid.size), points_(points) {
    const double sight = std::min(radius, 1.0 * *std::max_element(size_.begin(), size_.end()));
    const Box seen = Padded(box, static_cast<int>(std::ceil(sight)) + 2, image.grid),
              wide = Padded(seen, kSplineReach, image.grid);
    first_ = seen.first;
    Image coefficients = Cut(image, wide);
    for (std::size_t axis = 0; axis < 3; ++axis) ToSplineCoefficients(coefficients, axis);
    Box inner = seen;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      inner.first[axis] -= wide.first[axis];
      inner.last[axis] -= wide.first[axis];
    }
    coefficients = Cut(coefficients, inner);
    grid_ = coefficients.grid;
    coefficients_ = std::move(coefficients.values.Doubles());
    for (const Point& point : points) {
      for (int x = box.first[0]; x <= box.last[0]; ++x) along_x_.push_back(At(0, x + point[2]));
    }
    line_.resize(static_cast<std::size_t>(grid_.size[0]));
  }

  // [the box's voxels along x x points]
  void OfRow(int y, int z, std::vector<double>& row) {
    const std::size_t length = along_x_.size() / points_.size();
    row.resize(along_x_.size());
    for (std::size_t k = 0; k < points_.size(); ++k) {
      const Taps along_z = At(2, z + points_[k][0]), along_y = At(1, y + points_[k][1]);
      std::fill(line_.begin(), line_.end(), 0.0);
      for (std::size_t i = 0; i < static_cast<std::size_t>(along_z.count); ++i) {
        for (std::size_t j = 0; j < static_cast<std::size_t>(along_y.count); ++j) {
          const double weight = along_z.weight[i] * along_y.weight[j];
          const double* from = &coefficients_[grid_.Index(0, along_y.at[j], along_z.at[i])];
          for (std::size_t x = 0; x < line_.size(); ++x) line_[x] += weight * from[x];
        }
      }
      for (std::size_t x = 0; x < length; ++x) {
        const Taps& taps = along_x_[k * length + x];
        double sum = 0;
        for (std::size_t i = 0; i < static_cast<std::size_t>(taps.count); ++i)
          sum += taps.weight[i] * line_[static_cast<std::size_t>(taps.at[i])];
        row[x * points_.size() + k] = sum;
      }
    }
  }

 private:
  // Outside the image: none.
  [[nodiscard]] Taps At(std::size_t axis, double position) const {
    if (position < 0 || position > size_[axis] - 1) return {};
    return TapsAt(position - first_[axis], grid_.size[axis], Interpolation::kCubicSpline);
  }

  std::array<int, 3> size_;
  const std::vector<Point>& points_;
  std::array<int, 3> first_{};  // the coefficients' first voxel
  Grid grid_;                   // theirs
  std::vector<double> coefficients_;
  std::vector<Taps> along_x_;  // [points x the box's voxels along x]
  std::vector<double> line_;
};

double ExcessKurtosis(std::span<const double> t) {
  const auto count = static_cast<double>(t.size());
  double sum = 0, squares = 0, fourths = 0;
  for (const double value : t) sum += value;
  const double mean = sum / count;
  for (const double value : t) {
    const double square = (value - mean) * (value - mean);
    squares += square;
    fourths += square * square;
  }
  const double variance = squares / count, rounding = 1e-12 * mean;
  if (variance <= rounding * rounding) return -3;
  return fourths / count / (variance * variance) - 3;
}

}  // namespace

Result<LocalBinaryPatterns3dImages> LocalBinaryPatterns3d(
    const Image& image, const LocalBinaryPattern3dOptions& options, const Box& box) {
  const auto [levels, radius, subdivisions] = options;
  if (levels < 2 || levels > kPatternLevelsMax || !(radius > 0) || !std::isfinite(radius) ||
      subdivisions < 0 || subdivisions > kPatternSubdivisionsMax) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("local binary patterns of {} levels at radius {} of an icosahedron "
                    "subdivided {} times: must be 2 to {} levels, a radius > 0 and 0 to {} "
                    "times",
                    levels, radius, subdivisions, kPatternLevelsMax, kPatternSubdivisionsMax));
  }
  const std::vector<Point> points = Icosphere(subdivisions, radius);
  const std::vector<std::vector<double>> kernels = Kernels(points, radius, levels);
  Samples samples(image, box, points, radius);
  LocalBinaryPatterns3dImages result;
  result.kurtosis = Cut(image, box);
  result.kurtosis.numbers = {};
  std::vector<double>& kurtosis = result.kurtosis.values.Doubles();  // the intensities, so far
  std::vector<std::vector<double>> norms(kernels.size(), std::vector<double>(kurtosis.size()));
  const NumberKind& numbers = image.numbers;
  const auto is_below = [&](double t, double centre) {
    return numbers.whole ? t < centre : static_cast<float>(t) < static_cast<float>(centre);
  };
  std::vector<double> row, f(points.size());
  std::vector<std::size_t> not_below;
  std::size_t next = 0;
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      samples.OfRow(y, z, row);
      if (numbers.whole) {
        for (double& t : row) {
          t = std::clamp(t > 0 ? std::floor(t + 0.5) : std::ceil(t - 0.5), numbers.lowest,
                         numbers.highest);
        }
      }
      for (std::size_t x = 0; x < row.size(); x += points.size(), ++next) {
        const std::span t = std::span(row).subspan(x, points.size());
        const double centre = kurtosis[next];
        not_below.clear();
        for (std::size_t k = 0; k < t.size(); ++k)
          if (!is_below(t[k], centre)) not_below.push_back(k);
        for (std::size_t n = 0; n < kernels.size(); ++n) {
          std::fill(f.begin(), f.end(), 0.0);
          for (const std::size_t u : not_below) {
            const double* kernel = &kernels[n][u * points.size()];
            for (std::size_t v = 0; v < f.size(); ++v) f[v] += kernel[v];
          }
          double squares = 0;
          for (const double value : f) squares += value * value;
          norms[n][next] = std::sqrt(squares);
        }
        kurtosis[next] = ExcessKurtosis(t);
      }
    }
  }
  for (auto& norm : norms) result.norms.push_back({result.kurtosis.grid, std::move(norm)});
  return result;
}

}  // namespace consilium::engine
