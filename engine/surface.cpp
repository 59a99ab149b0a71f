#include "engine/surface.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace consilium::engine {
namespace {

using Half = std::array<int, 3>;  // in half voxels

// Corner c of a cube is at (c & 1, c >> 1 & 1, c >> 2 & 1).
struct CubeCase {
  std::vector<std::array<Half, 3>>
      triangles;  // from the cube's first corner; outward, right-handed
};

Half Corner(int c) { return {c & 1, c >> 1 & 1, c >> 2 & 1}; }
Half Between(int a, int b) {
  const Half p = Corner(a), q = Corner(b);
  return {p[0] + q[0], p[1] + q[1], p[2] + q[2]};
}

// The corners of each face, anticlockwise as seen from outside the cube.
constexpr int kFaces[6][4] = {{0, 4, 6, 2}, {1, 3, 7, 5}, {0, 1, 5, 4},
                              {2, 6, 7, 3}, {0, 2, 3, 1}, {4, 5, 7, 6}};

double TwiceArea(const Half& a, const Half& b, const Half& c) {
  const std::array<int, 3> u = {b[0] - a[0], b[1] - a[1], b[2] - a[2]},
                           v = {c[0] - a[0], c[1] - a[1], c[2] - a[2]};
  const int x = u[1] * v[2] - u[2] * v[1], y = u[2] * v[0] - u[0] * v[2],
            z = u[0] * v[1] - u[1] * v[0];
  return std::sqrt(x * x + y * y + z * z);
}

// The triangles of a loop with the largest sum of areas; of equal ones those found first.
void Triangulate(const std::vector<Half>& loop, std::vector<std::array<Half, 3>>& triangles) {
  const std::size_t n = loop.size();
  // most[i][j]: of the part from i to j; by[i][j]: the third corner of the triangle on its chord.
  std::vector<std::vector<double>> most(n, std::vector<double>(n));
  std::vector<std::vector<std::size_t>> by(n, std::vector<std::size_t>(n));
  constexpr double kEqual = 1e-9;
  for (std::size_t length = 2; length < n; ++length) {
    for (std::size_t i = 0; i + length < n; ++i) {
      const std::size_t j = i + length;
      most[i][j] = -1;
      for (std::size_t k = i + 1; k < j; ++k) {
        const double area = most[i][k] + most[k][j] + TwiceArea(loop[i], loop[k], loop[j]);
        if (area > most[i][j] + kEqual) {
          most[i][j] = area;
          by[i][j] = k;
        }
      }
    }
  }
  std::vector<std::pair<std::size_t, std::size_t>> chords = {{0, n - 1}};
  while (!chords.empty()) {
    const auto [i, j] = chords.back();
    chords.pop_back();
    if (j - i < 2) continue;
    const std::size_t k = by[i][j];
    triangles.push_back({loop[i], loop[k], loop[j]});
    chords.emplace_back(i, k);
    chords.emplace_back(k, j);
  }
}

CubeCase MakeCase(int inside) {
  const auto in = [&](int corner) { return (inside >> corner & 1) != 0; };
  // Segments where the surface crosses a face, each from one mid-point to the next. Around an
  // inside corner (or run of inside corners) from where the face is entered to where it is left.
  std::vector<std::pair<Half, Half>> segments;
  for (const auto& face : kFaces) {
    for (int k = 0; k < 4; ++k) {
      const int here = face[k], before = face[(k + 3) % 4];
      if (!in(here) || in(before)) continue;
      int last = k;
      while (in(face[(last + 1) % 4]) && last - k < 3) ++last;
      if (last == k && in(face[(k + 2) % 4])) last = k + 2;
      const Half entered = Between(before, here),
                 left = Between(face[last % 4], face[(last + 1) % 4]);
      segments.emplace_back(entered, left);
    }
  }
  CubeCase result;
  while (!segments.empty()) {
    std::vector<Half> loop = {segments.back().first};
    Half next = segments.back().second;
    segments.pop_back();
    while (next != loop.front()) {
      loop.push_back(next);
      const auto found = std::find_if(segments.begin(), segments.end(),
                                      [&](const auto& one) { return one.first == next; });
      next = found->second;
      segments.erase(found);
    }
    Triangulate(loop, result.triangles);
  }
  return result;
}

Point Scaled(const Half& half, const std::array<double, 3>& spacing) {
  return {half[0] * spacing[0] / 2, half[1] * spacing[1] / 2, half[2] * spacing[2] / 2};
}
Point Cross(const Point& a, const Point& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
Point Minus(const Point& a, const Point& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
double Dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// What a case adds: with its cube's first corner at o, the volume is sixth + o . normal.
struct CaseSums {
  double area = 0, sixth = 0;
  Point normal{};
  std::vector<Half> vertices;
};

std::vector<CaseSums> SumsOf(const std::array<double, 3>& spacing) {
  std::vector<CaseSums> sums(256);
  for (int code = 1; code < 255; ++code) {
    CaseSums& one = sums[static_cast<std::size_t>(code)];
    for (const auto& triangle : MakeCase(code).triangles) {
      const Point a = Scaled(triangle[0], spacing), b = Scaled(triangle[1], spacing),
                  c = Scaled(triangle[2], spacing);
      const Point normal = Cross(Minus(b, a), Minus(c, a));
      one.area += std::sqrt(Dot(normal, normal)) / 2;
      one.sixth += Dot(a, Cross(b, c)) / 6;
      // det(o + a, o + b, o + c) / 6 grows by o . normal / 6 for each o.
      for (std::size_t axis = 0; axis < 3; ++axis) one.normal[axis] += normal[axis] / 6;
      one.vertices.insert(one.vertices.end(), triangle.begin(), triangle.end());
    }
    std::sort(one.vertices.begin(), one.vertices.end());
    one.vertices.erase(std::unique(one.vertices.begin(), one.vertices.end()), one.vertices.end());
  }
  return sums;
}

// Keeps the first and the last along `axis` of each line of vertices.
void KeepEnds(std::vector<Half>& vertices, std::size_t axis) {
  const std::size_t u = (axis + 1) % 3, v = (axis + 2) % 3;
  std::sort(vertices.begin(), vertices.end(), [&](const Half& a, const Half& b) {
    return std::tie(a[u], a[v], a[axis]) < std::tie(b[u], b[v], b[axis]);
  });
  const auto same_line = [&](const Half& a, const Half& b) { return a[u] == b[u] && a[v] == b[v]; };
  std::vector<Half> kept;
  for (std::size_t i = 0; i < vertices.size(); ++i) {
    const bool first = i == 0 || !same_line(vertices[i - 1], vertices[i]);
    const bool last = i + 1 == vertices.size() || !same_line(vertices[i], vertices[i + 1]);
    if (first || last) kept.push_back(vertices[i]);
  }
  vertices = std::move(kept);
}

// The largest distance of two vertices with the same place along `axis`.
double PlaneDiameter(std::vector<Half> vertices, std::size_t axis,
                     const std::array<double, 3>& spacing) {
  const std::size_t u = (axis + 1) % 3, v = (axis + 2) % 3;
  KeepEnds(vertices, u);
  KeepEnds(vertices, v);
  std::sort(vertices.begin(), vertices.end(),
            [&](const Half& a, const Half& b) { return a[axis] < b[axis]; });
  double most = 0;
  for (std::size_t i = 0; i < vertices.size(); ++i) {
    for (std::size_t j = i + 1; j < vertices.size() && vertices[j][axis] == vertices[i][axis];
         ++j) {
      const double du = spacing[u] * (vertices[i][u] - vertices[j][u]) / 2,
                   dv = spacing[v] * (vertices[i][v] - vertices[j][v]) / 2;
      most = std::max(most, du * du + dv * dv);
    }
  }
  return std::sqrt(most);
}

}  // namespace

Surface SurfaceOf(const Mask& mask) {
  Surface surface;
  const auto& spacing = mask.grid.spacing_mm;
  const auto& size = mask.grid.size;
  const std::vector<CaseSums> sums = SumsOf(spacing);
  const auto inside = [&](int x, int y, int z) {
    if (x < 0 || y < 0 || z < 0 || x >= size[0] || y >= size[1] || z >= size[2]) return 0;
    return static_cast<int>(mask.inside[mask.grid.Index(x, y, z)]);
  };
  std::vector<Half> vertices;
  for (int z = -1; z < size[2]; ++z) {
    for (int y = -1; y < size[1]; ++y) {
      // Bits 0, 2, 4, 6 of the code are the cube's near side along x, the others its far side.
      const auto side = [&](int x) {
        return inside(x, y, z) | inside(x, y + 1, z) << 2 | inside(x, y, z + 1) << 4 |
               inside(x, y + 1, z + 1) << 6;
      };
      int near = 0;
      for (int x = -1; x < size[0]; ++x) {
        const int far = side(x + 1), code = near | far << 1;
        near = far;
        if (code == 0 || code == 255) continue;
        const CaseSums& one = sums[static_cast<std::size_t>(code)];
        surface.area_mm2 += one.area;
        surface.volume_mm3 += one.sixth + Dot(Scaled({2 * x, 2 * y, 2 * z}, spacing), one.normal);
        for (const Half& vertex : one.vertices)
          vertices.push_back({vertex[0] + 2 * x, vertex[1] + 2 * y, vertex[2] + 2 * z});
      }
    }
  }
  if (vertices.empty()) return surface;
  std::sort(vertices.begin(), vertices.end());
  vertices.erase(std::unique(vertices.begin(), vertices.end()), vertices.end());
  for (std::size_t axis = 0; axis < 3; ++axis)
    surface.plane_diameter_mm[axis] = PlaneDiameter(vertices, axis, spacing);
  for (std::size_t axis = 0; axis < 3; ++axis) KeepEnds(vertices, axis);
  Half low = vertices.front(), high = vertices.front();
  for (const Half& vertex : vertices) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      low[axis] = std::min(low[axis], vertex[axis]);
      high[axis] = std::max(high[axis], vertex[axis]);
    }
    surface.outermost.push_back(Scaled(vertex, spacing));
  }
  surface.low = Scaled(low, spacing);
  surface.high = Scaled(high, spacing);
  return surface;
}

}  // namespace consilium::engine
