#include "engine/convex_hull.h"

#include <fmt/format.h>
#include <libqhull_r/qhull_ra.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace consilium::engine {

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
    for (const vertexT* vertex = state.vertex_list; vertex != nullptr && vertex->next != nullptr;
         vertex = vertex->next) {
      hull.vertices.push_back({vertex->point[0], vertex->point[1], vertex->point[2]});
    }
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
  std::sort(hull.vertices.begin(), hull.vertices.end());
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
