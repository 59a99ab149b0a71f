#include "engine/shape_2d.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

namespace consilium::engine {
namespace {

using Pixel = std::array<double, 2>;  // row, column

// The corners of a square, and the mid-point behind each, going round.
constexpr std::array<std::array<int, 2>, 4> kCorners = {{{0, 0}, {0, 1}, {1, 1}, {1, 0}}};
constexpr std::array<Pixel, 4> kBehind = {{{0, 0.5}, {0.5, 1}, {1, 0.5}, {0.5, 0}}};

}  // namespace

SliceShape ShapeOfSlice(const SliceMask& mask) {
  SliceShape f;
  const auto inside = [&](int row, int column) {
    return row >= 0 && row < mask.rows && column >= 0 && column < mask.columns &&
           mask.inside[static_cast<std::size_t>(row) * static_cast<std::size_t>(mask.columns) +
                       static_cast<std::size_t>(column)] != 0;
  };
  const auto placed = [&](int row, int column, const Pixel& by) {
    return Pixel{(row + by[0]) * mask.spacing_mm[0], (column + by[1]) * mask.spacing_mm[1]};
  };
  std::vector<Pixel> vertices;  // the first and the last of each row of squares, and others
  for (int row = -1; row < mask.rows; ++row) {
    for (int column = -1; column < mask.columns; ++column) {
      std::array<bool, 4> in{};
      for (std::size_t k = 0; k < 4; ++k)
        in[k] = inside(row + kCorners[k][0], column + kCorners[k][1]);
      for (std::size_t k = 0; k < 4; ++k) {
        if (!in[k] || in[(k + 3) % 4]) continue;
        // A run of inside corners: a segment from the side where it begins to that where it ends.
        std::size_t last = k;
        while (in[(last + 1) % 4]) ++last;
        const Pixel a = placed(row, column, kBehind[(k + 3) % 4]),
                    b = placed(row, column, kBehind[last % 4]);
        f.mesh_surface += (a[0] * b[1] - b[0] * a[1]) / 2;
        f.perimeter += std::sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]));
        vertices.push_back(a);  // the line is closed: every vertex begins one segment
      }
    }
  }
  std::sort(vertices.begin(), vertices.end());
  // Between two vertices of a row there is no end of a diameter.
  std::vector<Pixel> ends;
  for (std::size_t i = 0; i < vertices.size(); ++i) {
    const bool first = i == 0 || vertices[i - 1][0] != vertices[i][0];
    const bool last = i + 1 == vertices.size() || vertices[i + 1][0] != vertices[i][0];
    if (first || last) ends.push_back(vertices[i]);
  }
  double most = 0;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    for (std::size_t j = i + 1; j < ends.size(); ++j) {
      const double rows = ends[i][0] - ends[j][0], columns = ends[i][1] - ends[j][1];
      most = std::max(most, rows * rows + columns * columns);
    }
  }
  f.maximum_diameter = std::sqrt(most);

  double pixels = 0;
  Eigen::Vector2d centre = Eigen::Vector2d::Zero();
  const auto for_each_pixel = [&](const auto& work) {
    for (int row = 0; row < mask.rows; ++row) {
      for (int column = 0; column < mask.columns; ++column) {
        if (inside(row, column))
          work(Eigen::Vector2d(row * mask.spacing_mm[0], column * mask.spacing_mm[1]));
      }
    }
  };
  for_each_pixel([&](const Eigen::Vector2d& at) {
    ++pixels;
    centre += at;
  });
  if (pixels == 0) return f;
  centre /= pixels;
  Eigen::Matrix2d covariance = Eigen::Matrix2d::Zero();
  for_each_pixel([&](const Eigen::Vector2d& at) {
    covariance += (at - centre) * (at - centre).transpose() / pixels;
  });
  const Eigen::SelfAdjointEigenSolver<Eigen::Matrix2d> eigen(covariance, Eigen::EigenvaluesOnly);
  const Eigen::Vector2d lambda = eigen.eigenvalues().cwiseMax(0);  // ascending
  f.pixel_surface = pixels * mask.spacing_mm[0] * mask.spacing_mm[1];
  f.major_axis_length = 4 * std::sqrt(lambda[1]);
  f.minor_axis_length = 4 * std::sqrt(lambda[0]);
  f.elongation =
      lambda[1] > 0 ? std::sqrt(lambda[0] / lambda[1]) : std::numeric_limits<double>::quiet_NaN();
  return f;
}

}  // namespace consilium::engine
