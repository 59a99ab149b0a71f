#include "engine/components.h"

#include <algorithm>
#include <numeric>

namespace consilium::engine {
namespace {

// Inside voxels side by side along x.
struct Run {
  int first, last;  // `last` belongs to it
};

// The runs of a region's box, row after row.
struct Runs {
  std::vector<Run> runs;
  std::vector<std::size_t> row_begin;  // [rows + 1] in `runs`
};

Runs RunsOf(const Mask& mask, const Box& box) {
  Runs all;
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      all.row_begin.push_back(all.runs.size());
      const std::size_t row = mask.grid.Index(0, y, z);
      ForEachRun(mask, row + static_cast<std::size_t>(box.first[0]),
                 row + static_cast<std::size_t>(box.last[0]) + 1,
                 [&](std::size_t first, std::size_t length) {
                   const auto x = static_cast<int>(first - row);
                   all.runs.push_back({x, x + static_cast<int>(length) - 1});
                 });
    }
  }
  all.row_begin.push_back(all.runs.size());
  return all;
}

// Sets of runs, each named by its first.
class Sets {
 public:
  explicit Sets(std::size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
  }
  [[nodiscard]] std::size_t First(std::size_t run) {
    while (parent_[run] != run) run = parent_[run] = parent_[parent_[run]];
    return run;
  }
  void Join(std::size_t a, std::size_t b) {
    a = First(a);
    b = First(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::size_t> parent_;
};

// Joins the runs of a row with those of an earlier one that they overlap, or touch at `reach`
// voxels' distance along x.
void JoinRows(const Runs& all, std::size_t row, std::size_t earlier, int reach, Sets& sets) {
  std::size_t a = all.row_begin[row], b = all.row_begin[earlier];
  while (a < all.row_begin[row + 1] && b < all.row_begin[earlier + 1]) {
    const Run &here = all.runs[a], &there = all.runs[b];
    if (there.last + reach < here.first) {
      ++b;
    } else if (here.last + reach < there.first) {
      ++a;
    } else {
      sets.Join(a, b);
      // The one that ends first can touch no other.
      ++(here.last < there.last ? a : b);
    }
  }
}

}  // namespace

Components ComponentsOf(const Mask& mask, Touching touching) {
  Components result;
  result.label.resize(mask.inside.size());
  const Box box = BoundingBoxOf(mask);
  if (box.empty) return result;
  const Runs all = RunsOf(mask, box);
  Sets sets(all.runs.size());
  const bool by_sides = touching == Touching::kBySides;
  const int rows = box.last[1] - box.first[1] + 1, slices = box.last[2] - box.first[2] + 1;
  for (int z = 0; z < slices; ++z) {
    for (int y = 0; y < rows; ++y) {
      const auto row_of = [&](int at_y, int at_z) {
        return static_cast<std::size_t>(at_z * rows + at_y);
      };
      const auto join = [&](int earlier_y, int earlier_z) {
        if (earlier_y >= 0 && earlier_y < rows && earlier_z >= 0)
          JoinRows(all, row_of(y, z), row_of(earlier_y, earlier_z), by_sides ? 0 : 1, sets);
      };
      join(y - 1, z);
      join(y, z - 1);
      if (by_sides) continue;
      join(y - 1, z - 1);
      join(y + 1, z - 1);
    }
  }
  std::vector<std::uint32_t> label(all.runs.size());
  for (int z = 0; z < slices; ++z) {
    for (int y = 0; y < rows; ++y) {
      const auto row = static_cast<std::size_t>(z * rows + y);
      std::uint32_t* to = &result.label[mask.grid.Index(0, box.first[1] + y, box.first[2] + z)];
      for (std::size_t run = all.row_begin[row]; run < all.row_begin[row + 1]; ++run) {
        const std::size_t first = sets.First(run);
        if (first == run) {
          result.voxels.push_back(0);
          label[run] = static_cast<std::uint32_t>(result.voxels.size());
        }
        label[run] = label[first];
        const auto [begin, last] = all.runs[run];
        std::fill(to + begin, to + last + 1, label[run]);
        result.voxels[label[run] - 1] += static_cast<std::size_t>(last - begin + 1);
      }
    }
  }
  return result;
}

Mask LargestComponent(const Mask& mask) {
  const Components components = ComponentsOf(mask);
  if (components.voxels.size() < 2) return mask;
  const auto largest = std::max_element(components.voxels.begin(), components.voxels.end());
  const auto label = static_cast<std::uint32_t>(largest - components.voxels.begin() + 1);
  Mask result = mask;
  for (std::size_t i = 0; i < result.inside.size(); ++i)
    result.inside[i] = components.label[i] == label ? 1 : 0;
  return result;
}

std::vector<std::size_t> HolesOf(const Mask& mask) {
  const Box box = BoundingBoxOf(mask);
  if (box.empty) return {};
  // The outside in the region's box and one voxel around it, where all of it hangs together.
  const Mask region = Cut(mask, box);
  Mask outside;
  for (std::size_t axis = 0; axis < 3; ++axis) outside.grid.size[axis] = region.grid.size[axis] + 2;
  outside.inside.assign(outside.grid.voxel_count(), 1);
  for (int z = 0; z < region.grid.size[2]; ++z) {
    for (int y = 0; y < region.grid.size[1]; ++y) {
      for (int x = 0; x < region.grid.size[0]; ++x) {
        outside.inside[outside.grid.Index(x + 1, y + 1, z + 1)] =
            region.inside[region.grid.Index(x, y, z)] == 0 ? 1 : 0;
      }
    }
  }
  std::vector<std::size_t> parts = ComponentsOf(outside, Touching::kBySides).voxels;
  parts.erase(parts.begin());  // around the region
  return parts;
}

}  // namespace consilium::engine
