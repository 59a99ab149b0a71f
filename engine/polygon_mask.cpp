#include "engine/polygon_mask.h"

#include <algorithm>
#include <cmath>

namespace consilium::engine {
namespace {

// The first index at or above `position`, within 0 ... size.
int FirstFrom(double position, int size) {
  return static_cast<int>(std::clamp(std::ceil(position), 0.0, static_cast<double>(size)));
}

}  // namespace

void TurnOverInside(std::span<const PlanarPoint> polygon, PlanarMask& mask) {
  if (polygon.size() < 3) return;
  const auto [low, high] =
      std::minmax_element(polygon.begin(), polygon.end(),
                          [](const PlanarPoint& a, const PlanarPoint& b) { return a.y < b.y; });
  const int end = FirstFrom(high->y, mask.size_y);
  std::vector<double> crossings;
  for (int y = FirstFrom(low->y, mask.size_y); y < end; ++y) {
    crossings.clear();
    const PlanarPoint* from = &polygon.back();
    for (const PlanarPoint& to : polygon) {
      if ((from->y <= y) != (to.y <= y))
        crossings.push_back(from->x + (y - from->y) / (to.y - from->y) * (to.x - from->x));
      from = &to;
    }
    std::sort(crossings.begin(), crossings.end());
    auto* row =
        mask.inside.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(mask.size_x);
    for (std::size_t i = 0; i + 1 < crossings.size(); i += 2) {
      const int last = FirstFrom(crossings[i + 1], mask.size_x);
      for (int x = FirstFrom(crossings[i], mask.size_x); x < last; ++x) row[x] ^= 1;
    }
  }
}

}  // namespace consilium::engine
