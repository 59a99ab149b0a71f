#include "engine/filter/local_binary_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

#include "engine/trigonometry.h"

namespace consilium::engine {
namespace {

struct Slices {
  std::size_t rows, columns, across;  // axes
};
Slices SlicesAcross(int dimension) {
  if (dimension == 0) return {1, 0, 2};
  return dimension == 1 ? Slices{2, 0, 1} : Slices{1, 2, 0};
}

struct Point {
  double row, column;
};
std::vector<Point> CircleOf(double radius, int samples) {
  std::vector<Point> points;
  const auto rounded = [](double x) { return std::nearbyint(x * 1e5) / 1e5; };
  for (int k = 0; k < samples; ++k) {
    const auto [sine, cosine] = SineCosineOf(2 * std::numbers::pi * k / samples);
    points.push_back({rounded(-radius * sine), rounded(radius * cosine)});
  }
  return points;
}

double PatternOf(const std::vector<double>& t, double centre, LocalBinaryPattern method) {
  const auto samples = static_cast<double>(t.size());
  if (method == LocalBinaryPattern::kVariance) {
    double sum = 0, squares = 0;
    for (const double value : t) {
      sum += value;
      squares += value * value;
    }
    const double variance = (squares - sum * sum / samples) / samples;
    return variance != 0 ? variance : std::numeric_limits<double>::quiet_NaN();
  }
  std::uint32_t bits = 0;
  int ones = 0, changes = 0;
  bool before = false;
  for (std::size_t k = 0; k < t.size(); ++k) {
    const bool here = t[k] - centre >= 0;
    if (k > 0 && here != before) ++changes;
    before = here;
    if (!here) continue;
    bits |= 1U << k;
    ++ones;
  }
  if (method == LocalBinaryPattern::kUniform) return changes <= 2 ? ones : samples + 1;
  std::uint32_t least = bits;
  if (method == LocalBinaryPattern::kRotationInvariant) {
    for (std::size_t k = 1; k < t.size(); ++k) {
      bits = bits >> 1 | (bits & 1U) << (t.size() - 1);
      least = std::min(least, bits);
    }
  }
  return least;
}

}  // namespace

Result<Image> LocalBinaryPatterns(const Image& image, const LocalBinaryPatternOptions& options,
                                  const Box& box) {
  if (!(options.radius > 0) || !std::isfinite(options.radius) || options.samples < 1 ||
      options.samples > kPatternSamplesMax || options.across < 0 || options.across > 2) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("local binary patterns of {} points at radius {} across dimension {}: "
                            "must be 1 to {} points, a radius > 0 and a dimension of 0 to 2",
                            options.samples, options.radius, options.across, kPatternSamplesMax));
  }
  const Slices axes = SlicesAcross(options.across);
  const Grid& grid = image.grid;
  const std::vector<Point> circle = CircleOf(options.radius, options.samples);
  std::vector<double> t(circle.size());
  Image result = Cut(image, box);
  std::vector<double>& patterns = result.values.Doubles();  // the intensities, so far
  std::size_t next = 0;
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      for (int x = box.first[0]; x <= box.last[0]; ++x, ++next) {
        std::array<int, 3> at = {x, y, z};
        const double row = at[axes.rows], column = at[axes.columns];
        const auto intensity = [&](double r, double c) {
          if (r < 0 || c < 0 || r >= grid.size[axes.rows] || c >= grid.size[axes.columns])
            return 0.0;
          at[axes.rows] = static_cast<int>(r);
          at[axes.columns] = static_cast<int>(c);
          return image.values[grid.Index(at[0], at[1], at[2])];
        };
        for (std::size_t k = 0; k < circle.size(); ++k) {
          const double r = row + circle[k].row, c = column + circle[k].column;
          const double above = std::floor(r), left = std::floor(c), below = std::ceil(r),
                       right = std::ceil(c), dr = r - above, dc = c - left;
          const double top = (1 - dc) * intensity(above, left) + dc * intensity(above, right),
                       bottom = (1 - dc) * intensity(below, left) + dc * intensity(below, right);
          t[k] = (1 - dr) * top + dr * bottom;
        }
        double pattern = PatternOf(t, patterns[next], options.method);
        if (image.numbers.whole) pattern = std::trunc(pattern);
        if (image.numbers.whole && pattern > image.numbers.highest) {
          return Fail(ErrorCode::kOutOfRange,
                      fmt::format("a local binary pattern of {} points is {}, and the image holds "
                                  "whole numbers up to {}; take fewer points or method uniform",
                                  options.samples, pattern, image.numbers.highest));
        }
        patterns[next] = pattern;
      }
    }
  }
  return result;
}

}  // namespace consilium::engine
