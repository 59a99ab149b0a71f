#include "engine/surface.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

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

Point Scaled(const Half& half, const std::array<double, 3>& spacing) {
  return {half[0] * spacing[0] / 2, half[1] * spacing[1] / 2, half[2] * spacing[2] / 2};
}
Point Cross(const Point& a, const Point& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
Point Minus(const Point& a, const Point& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
double Dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

using Triangle = std::array<std::size_t, 3>;  // places in a loop

// Twice the area of a triangle of a loop, and six times the volume between it and the loop's
// middle.
struct Measure {
  double area = 0, volume = 0;
};
Measure MeasureOf(const std::vector<Half>& loop, const std::vector<Triangle>& triangles) {
  constexpr std::array<double, 3> kUnit = {2, 2, 2};  // a half voxel is 1
  Point middle{};
  for (const Half& vertex : loop) {
    for (std::size_t axis = 0; axis < 3; ++axis)
      middle[axis] += vertex[axis] / static_cast<double>(loop.size());
  }
  Measure measure;
  for (const Triangle& triangle : triangles) {
    std::array<Point, 3> p{};
    for (std::size_t k = 0; k < 3; ++k) p[k] = Minus(Scaled(loop[triangle[k]], kUnit), middle);
    const Point normal = Cross(Minus(p[1], p[0]), Minus(p[2], p[0]));
    measure.area += std::sqrt(Dot(normal, normal));
    measure.volume += Dot(p[0], Cross(p[1], p[2]));
  }
  return measure;
}

// Every way to cut the part of a loop from i to j into triangles.
std::vector<std::vector<Triangle>> AllCuts(std::size_t i, std::size_t j) {
  if (j - i < 2) return {{}};
  std::vector<std::vector<Triangle>> all;
  for (std::size_t k = i + 1; k < j; ++k) {
    for (const auto& left : AllCuts(i, k)) {
      for (const auto& right : AllCuts(k, j)) {
        std::vector<Triangle> one = left;
        one.insert(one.end(), right.begin(), right.end());
        one.push_back({i, k, j});
        all.push_back(std::move(one));
      }
    }
  }
  return all;
}

// The vertex through which the mirror of a loop of seven goes.
std::size_t MirrorVertex(const std::vector<Half>& loop) {
  const std::size_t n = loop.size();
  const auto squared = [&](std::size_t a, std::size_t b) {
    int sum = 0;
    for (std::size_t axis = 0; axis < 3; ++axis)
      sum += (loop[a][axis] - loop[b][axis]) * (loop[a][axis] - loop[b][axis]);
    return sum;
  };
  for (std::size_t apex = 0; apex < n; ++apex) {
    bool same = true;
    for (std::size_t k = 1; k <= n / 2; ++k)
      same = same && squared(apex, (apex + k) % n) == squared(apex, (apex + n - k) % n);
    if (same) return apex;
  }
  return 0;
}

// The triangles that close a loop. Largest sum of areas (in a cube of equal sides); of equal ones
// the least volume away from the loop's middle; a loop of seven is a fan around its mirror vertex.
std::vector<Triangle> CutOf(const std::vector<Half>& loop) {
  constexpr double kEqual = 1e-9;
  const std::size_t n = loop.size();
  if (n == 7) {
    const std::size_t apex = MirrorVertex(loop);
    std::vector<Triangle> fan;
    for (std::size_t k = 1; k + 1 < n; ++k)
      fan.push_back({apex, (apex + k) % n, (apex + k + 1) % n});
    return fan;
  }
  std::vector<Triangle> best;
  Measure of_best;
  for (const auto& cut : AllCuts(0, n - 1)) {
    const Measure measure = MeasureOf(loop, cut);
    const bool larger = measure.area > of_best.area + kEqual;
    const bool as_large = measure.area > of_best.area - kEqual;
    if (best.empty() || larger ||
        (as_large && std::abs(measure.volume) < std::abs(of_best.volume) - kEqual)) {
      best = cut;
      of_best = measure;
    }
  }
  return best;
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
    for (const Triangle& triangle : CutOf(loop))
      result.triangles.push_back({loop[triangle[0]], loop[triangle[1]], loop[triangle[2]]});
  }
  return result;
}

// What a case adds: with its cube's first corner at o, the volume is sixth + o . normal.
struct CaseSums {
  double area = 0, sixth = 0;
  Point normal{};
};

const std::vector<CubeCase>& Cases() {
  static const std::vector<CubeCase> kCases = [] {
    std::vector<CubeCase> cases;
    for (int code = 0; code < 256; ++code) cases.push_back(MakeCase(code));
    return cases;
  }();
  return kCases;
}

std::vector<CaseSums> SumsOf(const std::array<double, 3>& spacing, MeshRule rule) {
  std::vector<CaseSums> sums(256);
  for (int code = 1; code < 255; ++code) {
    CaseSums& one = sums[static_cast<std::size_t>(code)];
    constexpr int kFlippingCorner = 6;
    const bool flipped = rule == MeshRule::kPyradiomics && (code >> kFlippingCorner & 1) != 0;
    const int of = flipped ? 255 - code : code;
    for (const auto& triangle : Cases()[static_cast<std::size_t>(of)].triangles) {
      const Point a = Scaled(triangle[0], spacing), b = Scaled(triangle[flipped ? 2 : 1], spacing),
                  c = Scaled(triangle[flipped ? 1 : 2], spacing);
      const Point normal = Cross(Minus(b, a), Minus(c, a));
      one.area += std::sqrt(Dot(normal, normal)) / 2;
      one.sixth += Dot(a, Cross(b, c)) / 6;
      // det(o + a, o + b, o + c) / 6 grows by o . normal / 6 for each o.
      for (std::size_t axis = 0; axis < 3; ++axis) one.normal[axis] += normal[axis] / 6;
    }
  }
  return sums;
}

// The mid-points of a region's surface, on a grid of half voxels.
class Vertices {
 public:
  // `inside` [grid], 0 at its border.
  Vertices(const Grid& grid, const std::vector<std::uint8_t>& inside) {
    for (std::size_t axis = 0; axis < 3; ++axis) size_[axis] = 2 * grid.size[axis];
    std::size_t at = 0;
    const std::size_t y_step = grid.Index(0, 1, 0), z_step = grid.Index(0, 0, 1);
    for (int z = 0; z + 1 < grid.size[2]; ++z) {
      for (int y = 0; y + 1 < grid.size[1]; ++y) {
        at = grid.Index(0, y, z);
        for (int x = 0; x + 1 < grid.size[0]; ++x, ++at) {
          const std::uint8_t here = inside[at];
          if (here != inside[at + 1]) all_.push_back({2 * x + 1, 2 * y, 2 * z});
          if (here != inside[at + y_step]) all_.push_back({2 * x, 2 * y + 1, 2 * z});
          if (here != inside[at + z_step]) all_.push_back({2 * x, 2 * y, 2 * z + 1});
        }
      }
    }
  }

  [[nodiscard]] const std::vector<Half>& all() const { return all_; }
  // Keeps the first and the last along `axis` of each line of vertices.
  void KeepEnds(std::size_t axis) {
    const std::size_t u = (axis + 1) % 3, v = (axis + 2) % 3;
    struct Ends {
      int first = std::numeric_limits<int>::max(), last = -1;
    };
    std::vector<Ends> lines(static_cast<std::size_t>(size_[u]) *
                            static_cast<std::size_t>(size_[v]));
    const auto line_of = [&](const Half& vertex) -> Ends& {
      return lines[static_cast<std::size_t>(vertex[v]) * static_cast<std::size_t>(size_[u]) +
                   static_cast<std::size_t>(vertex[u])];
    };
    for (const Half& vertex : all_) {
      Ends& ends = line_of(vertex);
      ends.first = std::min(ends.first, vertex[axis]);
      ends.last = std::max(ends.last, vertex[axis]);
    }
    std::erase_if(all_, [&](const Half& vertex) {
      const Ends& ends = line_of(vertex);
      return vertex[axis] != ends.first && vertex[axis] != ends.last;
    });
  }
  // The largest distance of two vertices with the same place along `axis`.
  [[nodiscard]] double PlaneDiameter(std::size_t axis, const std::array<double, 3>& spacing) const {
    const std::size_t u = (axis + 1) % 3, v = (axis + 2) % 3;
    Vertices ends = *this;
    ends.KeepEnds(u);
    ends.KeepEnds(v);
    std::vector<std::vector<Half>> planes(static_cast<std::size_t>(size_[axis]));
    for (const Half& vertex : ends.all_)
      planes[static_cast<std::size_t>(vertex[axis])].push_back(vertex);
    double most = 0;
    for (const auto& plane : planes) {
      for (std::size_t i = 0; i < plane.size(); ++i) {
        for (std::size_t j = i + 1; j < plane.size(); ++j) {
          const double du = spacing[u] * (plane[i][u] - plane[j][u]) / 2,
                       dv = spacing[v] * (plane[i][v] - plane[j][v]) / 2;
          most = std::max(most, du * du + dv * dv);
        }
      }
    }
    return std::sqrt(most);
  }

 private:
  std::array<int, 3> size_{};
  std::vector<Half> all_;
};

}  // namespace

Surface SurfaceOf(const Mask& mask, MeshRule rule) {
  Surface surface;
  const Box box = BoundingBoxOf(mask);
  if (box.empty) return surface;
  const auto& spacing = mask.grid.spacing_mm;
  // The region in its box, with a border of zeros.
  Grid grid{{}, spacing};
  for (std::size_t axis = 0; axis < 3; ++axis)
    grid.size[axis] = box.last[axis] - box.first[axis] + 3;
  std::vector<std::uint8_t> inside(grid.voxel_count());
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      const std::uint8_t* from = &mask.inside[mask.grid.Index(box.first[0], y, z)];
      std::copy(from, from + grid.size[0] - 2,
                &inside[grid.Index(1, y - box.first[1] + 1, z - box.first[2] + 1)]);
    }
  }
  const std::vector<CaseSums> sums = SumsOf(spacing, rule);
  for (int z = 0; z + 1 < grid.size[2]; ++z) {
    for (int y = 0; y + 1 < grid.size[1]; ++y) {
      const std::array<const std::uint8_t*, 4> lines = {
          &inside[grid.Index(0, y, z)], &inside[grid.Index(0, y + 1, z)],
          &inside[grid.Index(0, y, z + 1)], &inside[grid.Index(0, y + 1, z + 1)]};
      // Bits 0, 2, 4, 6 of the code are the cube's near side along x, the others its far side.
      int near = 0;
      for (int x = 0; x + 1 < grid.size[0]; ++x) {
        const int far =
            lines[0][x + 1] | lines[1][x + 1] << 2 | lines[2][x + 1] << 4 | lines[3][x + 1] << 6;
        const int code = near | far << 1;
        near = far;
        if (code == 0 || code == 255) continue;
        const CaseSums& one = sums[static_cast<std::size_t>(code)];
        surface.area_mm2 += one.area;
        surface.volume_mm3 += one.sixth + Dot(Scaled({2 * x, 2 * y, 2 * z}, spacing), one.normal);
      }
    }
  }
  Vertices vertices(grid, inside);
  for (std::size_t axis = 0; axis < 3; ++axis)
    surface.plane_diameter_mm[axis] = vertices.PlaneDiameter(axis, spacing);
  for (std::size_t axis = 0; axis < 3; ++axis) vertices.KeepEnds(axis);
  const Point corner =
      Scaled({2 * box.first[0] - 2, 2 * box.first[1] - 2, 2 * box.first[2] - 2}, spacing);
  surface.low = surface.high = corner;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    surface.low[axis] += spacing[axis] / 2;
    surface.high[axis] += spacing[axis] * (grid.size[axis] - 1.5);
  }
  for (const Half& vertex : vertices.all()) {
    Point point = Scaled(vertex, spacing);
    for (std::size_t axis = 0; axis < 3; ++axis) point[axis] += corner[axis];
    surface.outermost.push_back(point);
  }
  return surface;
}

}  // namespace consilium::engine
