#include "engine/convex_hull.h"

#include <fmt/format.h>
#include <libqhull_r/qhull_ra.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

namespace consilium::engine {
namespace {

Point PointOf(const coordT* at) { return {at[0], at[1], at[2]}; }

std::vector<Point> VerticesOf(const qhT& state) {
  std::vector<Point> vertices;
  for (const vertexT* vertex = state.vertex_list; vertex != nullptr && vertex->next != nullptr;
       vertex = vertex->next)
    vertices.push_back(PointOf(vertex->point));
  std::sort(vertices.begin(), vertices.end());
  return vertices;
}

// Normals and edges. Triangles of one face share its normal, as an address.
void PutFaces(const qhT& state, ConvexHull& hull) {
  std::map<const coordT*, std::size_t> normals;
  const auto normal_of = [&](const facetT* facet) {
    const auto [at, fresh] = normals.try_emplace(facet->normal, hull.normals.size());
    if (fresh) hull.normals.push_back(PointOf(facet->normal));
    return at->second;
  };
  for (const facetT* facet = state.facet_list; facet != nullptr && facet->next != nullptr;
       facet = facet->next) {
    std::array<std::size_t, 3> corners{};
    for (int i = 0; i < 3; ++i) {
      const auto at = std::lower_bound(hull.vertices.begin(), hull.vertices.end(),
                                       PointOf(SETelemt_(facet->vertices, i, vertexT)->point));
      corners[static_cast<std::size_t>(i)] = static_cast<std::size_t>(at - hull.vertices.begin());
    }
    for (int i = 0; i < 3; ++i) {  // neighbour i lies across the edge opposite vertex i
      const facetT* across = SETelemt_(facet->neighbors, i, facetT);
      if (facet->id > across->id) continue;
      const auto one = static_cast<std::size_t>(i);
      hull.edges.push_back({{corners[(one + 1) % 3], corners[(one + 2) % 3]},
                            {normal_of(facet), normal_of(across)}});
    }
  }
}

}  // namespace

Result<ConvexHull> ConvexHullOf(std::span<const Point> points) {
  std::vector<coordT> coordinates;
  coordinates.reserve(3 * points.size());
  for (const Point& point : points)
    coordinates.insert(coordinates.end(), point.begin(), point.end());
  // What Qhull says goes to memory: it would write to the terminal.
  char* words = nullptr;
  std::size_t word_bytes = 0;
  FILE* said = open_memstream(&words, &word_bytes);
  CONSILIUM_CHECK(said != nullptr, "a stream in memory can be opened");
  qhT state;
  qh_zero(&state, said);
  char command[] = "qhull Qt FA";  // triangles; area and volume
  const int failed = qh_new_qhull(&state, 3, static_cast<int>(points.size()), coordinates.data(),
                                  False, command, nullptr, said);
  ConvexHull hull;
  if (failed == 0) {
    qh_getarea(&state, state.facet_list);
    hull.volume_mm3 = state.totvol;
    hull.area_mm2 = state.totarea;
    hull.vertices = VerticesOf(state);
    PutFaces(state, hull);
  }
  qh_freeqhull(&state, !qh_ALL);
  int kept = 0, blocks = 0;
  qh_memfreeshort(&state, &kept, &blocks);
  std::fclose(said);
  const std::string why(words, std::min(word_bytes, std::string_view(words).find('\n')));
  std::free(words);
  if (failed != 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a convex hull needs four points that span a volume: {}", why));
  }
  return hull;
}

double DiameterOf(std::span<const Point> points) {
  double most = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t j = i + 1; j < points.size(); ++j) {
      const double x = points[i][0] - points[j][0], y = points[i][1] - points[j][1],
                   z = points[i][2] - points[j][2];
      most = std::max(most, x * x + y * y + z * z);
    }
  }
  return std::sqrt(most);
}

}  // namespace consilium::engine
