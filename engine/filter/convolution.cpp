#include "engine/filter/convolution.h"

#include <algorithm>
#include <bit>
#include <map>
#include <span>
#include <utility>

#include "engine/vector_clones.h"

namespace consilium::engine {
namespace {

// The response of a kernel that meets the rows with its taps: `rows` and `taps` of one length.
// Every voxel adds in the order of the taps, none fused.
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
void Weigh(std::span<const double* const> rows, std::span<const double> taps,
           double* __restrict put, std::size_t width) {
  constexpr std::size_t kBlock = 32;
  std::size_t x = 0;
  for (; x + kBlock <= width; x += kBlock) {
    std::array<double, kBlock> sum{};
    for (std::size_t j = 0; j < taps.size(); ++j) {
      const double tap = taps[j];
      const double* row = rows[j] + x;
      for (std::size_t lane = 0; lane < kBlock; ++lane) sum[lane] += tap * row[lane];
    }
    for (std::size_t lane = 0; lane < kBlock; ++lane) put[x + lane] = sum[lane];
  }
  for (; x < width; ++x) {
    double sum = 0;
    for (std::size_t j = 0; j < taps.size(); ++j) sum += taps[j] * rows[j][x];
    put[x] = sum;
  }
}

Range SeenBy(const Kernel& kernel, const Range& out, int size, Boundary boundary) {
  const int taps = static_cast<int>(kernel.taps.size());
  const Range under = {out.first + kernel.centre - (taps - 1), out.last + kernel.centre};
  if (under.first >= 0 && under.last < size) return under;
  if (boundary == Boundary::kPeriodic) {
    if (under.length() < size) return under;
    return {0, size - 1};
  }
  Range seen = {std::clamp(under.first, 0, size - 1), std::clamp(under.last, 0, size - 1)};
  for (int at = under.first; at <= under.last; ++at) {
    const int voxel = VoxelAt(at, size, boundary);
    if (voxel == kNoVoxel) continue;
    seen = {std::min(seen.first, voxel), std::max(seen.last, voxel)};
  }
  return seen;
}

// Where in a part the positions `under` are, counted from its first; kNoVoxel for a zero.
std::vector<int> Positions(const Range& under, const Range& stored, int size, Boundary boundary) {
  std::vector<int> positions;
  for (int at = under.first; at <= under.last; ++at) {
    if (at >= stored.first && at <= stored.last) {
      positions.push_back(at - stored.first);
      continue;
    }
    const int voxel = VoxelAt(at, size, boundary);
    positions.push_back(voxel == kNoVoxel ? kNoVoxel : voxel - stored.first);
  }
  return positions;
}

Part PartOf(const Ranges& where, const std::array<int, 3>& whole,
            const std::array<double, 3>& spacing_mm) {
  return {whole, where, {GridOf(where, spacing_mm), {}}};
}

Part Convolved(const Part& from, std::size_t axis, const Kernel& kernel, Boundary boundary,
               const Range& out) {
  Ranges where = from.where;
  where[axis] = out;
  Part to = PartOf(where, from.whole, from.image.grid.spacing_mm);
  const Grid &old = from.image.grid, &grid = to.image.grid;
  to.image.values.resize(grid.voxel_count());
  const auto taps = static_cast<int>(kernel.taps.size());
  const auto positions =
      Positions({out.first + kernel.centre - (taps - 1), out.last + kernel.centre},
                from.where[axis], from.whole[axis], boundary);
  std::vector<double> line(axis == 0 ? positions.size() : 0);  // along x, with its surroundings
  std::vector<const double*> rows;
  std::vector<double> weights;
  for (int z = 0; z < grid.size[2]; ++z) {
    for (int y = 0; y < grid.size[1]; ++y) {
      if (axis == 0) {
        const double* row = &from.image.values[old.Index(0, y, z)];
        std::transform(positions.begin(), positions.end(), line.begin(),
                       [row](int at) { return at == kNoVoxel ? 0 : row[at]; });
      }
      rows.clear();
      weights.clear();
      for (int j = 0; j < taps; ++j) {
        const double tap = kernel.taps[static_cast<std::size_t>(j)];
        if (tap == 0) continue;  // between the taps of a level's filter
        const int under = taps - 1 - j;
        if (axis == 0) {
          rows.push_back(&line[static_cast<std::size_t>(under)]);
        } else {
          const int at = positions[static_cast<std::size_t>((axis == 1 ? y : z) + under)];
          if (at == kNoVoxel) continue;
          rows.push_back(&from.image.values[axis == 1 ? old.Index(0, at, z) : old.Index(0, y, at)]);
        }
        weights.push_back(tap);
      }
      Weigh(rows, weights, &to.image.values[grid.Index(0, y, z)],
            static_cast<std::size_t>(grid.size[0]));
    }
  }
  return to;
}

// What the kernels do from one axis on; kernels with the same chain along it go on together.
template <typename Work>
void ForEachResponse(const Part& part, std::size_t axis,
                     const std::vector<const Separable*>& kernels, Boundary boundary,
                     const Ranges& out, const Work& work) {
  if (axis == 3) {
    work(part.image.values, kernels.size());
    return;
  }
  std::map<Chain, std::vector<const Separable*>> by_chain;
  for (const Separable* kernel : kernels) by_chain[(*kernel)[axis]].push_back(kernel);
  for (const auto& [chain, same] : by_chain) {
    if (chain.empty()) {
      ForEachResponse(part, axis + 1, same, boundary, out, work);
    } else {
      ForEachResponse(Convolved(part, axis, chain, boundary, out[axis]), axis + 1, same, boundary,
                      out, work);
    }
  }
}

}  // namespace

Kernel Flipped(const Kernel& kernel) {
  return {{kernel.taps.rbegin(), kernel.taps.rend()},
          static_cast<int>(kernel.taps.size()) - 1 - kernel.centre};
}

std::vector<Separable> Turned(const Separable& kernel, Dimensions dimensions) {
  std::vector<Separable> all;
  std::array<std::size_t, 3> order = {0, 1, 2};
  do {
    const int exchanges = (order[0] > order[1] ? 1 : 0) + (order[0] > order[2] ? 1 : 0) +
                          (order[1] > order[2] ? 1 : 0);
    for (unsigned flips = 0; flips < 8; ++flips) {
      const bool out_of_plane = order[2] != 2 || (flips & 4U) != 0;
      if (dimensions == Dimensions::k2d && out_of_plane) continue;
      const bool reflection = (exchanges + std::popcount(flips)) % 2 != 0;
      if (reflection) continue;
      Separable turned;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        for (const Kernel& one : kernel[order[axis]])
          turned[axis].push_back((flips >> axis & 1U) != 0 ? Flipped(one) : one);
      }
      all.push_back(std::move(turned));
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return all;
}

Ranges RangesOf(const Box& box) {
  Ranges ranges;
  for (std::size_t axis = 0; axis < 3; ++axis) ranges[axis] = {box.first[axis], box.last[axis]};
  return ranges;
}

Grid GridOf(const Ranges& where, const std::array<double, 3>& spacing_mm) {
  return {{where[0].length(), where[1].length(), where[2].length()}, spacing_mm};
}

Range SeenBy(const Chain& chain, const Range& out, int size, Boundary boundary) {
  Range seen = out;
  for (auto kernel = chain.rbegin(); kernel != chain.rend(); ++kernel)
    seen = SeenBy(*kernel, seen, size, boundary);
  return seen;
}

Ranges SeenBy(const Separable& kernel, const Ranges& out, const std::array<int, 3>& whole,
              Boundary boundary) {
  Ranges seen;
  for (std::size_t axis = 0; axis < 3; ++axis)
    seen[axis] = SeenBy(kernel[axis], out[axis], whole[axis], boundary);
  return seen;
}

Part Taken(const Image& image, const Ranges& where, Boundary boundary,
           const std::array<int, 3>& whole) {
  Part part = PartOf(where, whole, image.grid.spacing_mm);
  part.image.values.reserve(part.image.grid.voxel_count());
  std::array<std::vector<int>, 3> at;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    at[axis] = Positions(where[axis], {0, whole[axis] - 1}, whole[axis], boundary);
    for (int& voxel : at[axis]) voxel = voxel == kNoVoxel ? voxel : voxel % image.grid.size[axis];
  }
  for (const int z : at[2]) {
    for (const int y : at[1]) {
      for (const int x : at[0]) {
        const bool none = x == kNoVoxel || y == kNoVoxel || z == kNoVoxel;
        part.image.values.push_back(none ? 0 : image.values[image.grid.Index(x, y, z)]);
      }
    }
  }
  return part;
}

Part Convolved(const Part& from, std::size_t axis, const Chain& chain, Boundary boundary,
               const Range& out) {
  std::vector<Range> outs = {out};  // of the last kernel, of the one before it, ...
  for (std::size_t k = chain.size(); k-- > 1;)
    outs.push_back(SeenBy(chain[k], outs.back(), from.whole[axis], boundary));
  Part part;
  for (const Kernel& kernel : chain) {
    part = Convolved(&kernel == chain.data() ? from : part, axis, kernel, boundary, outs.back());
    outs.pop_back();
  }
  return chain.empty() ? from : part;
}

void Pool(const std::vector<double>& response, Pooling pooling, std::size_t times,
          std::size_t count, std::vector<double>& pooled) {
  if (pooling == Pooling::kMax || pooling == Pooling::kMin) {
    if (pooled.empty()) pooled = response;
    const bool largest = pooling == Pooling::kMax;
    for (std::size_t i = 0; i < pooled.size(); ++i) {
      pooled[i] = largest ? std::max(pooled[i], response[i]) : std::min(pooled[i], response[i]);
    }
    return;
  }
  const double weight =
      static_cast<double>(times) / (pooling == Pooling::kMean ? static_cast<double>(count) : 1);
  pooled.resize(response.size());
  for (std::size_t i = 0; i < pooled.size(); ++i) pooled[i] += weight * response[i];
}

Part Pooled(const Image& image, const std::vector<Separable>& kernels, Pooling pooling,
            Boundary boundary, const Ranges& out) {
  Ranges seen = out;
  std::vector<const Separable*> all;
  for (const Separable& kernel : kernels) {
    const Ranges by_it = SeenBy(kernel, out, image.grid.size, boundary);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      seen[axis].first = std::min(seen[axis].first, by_it[axis].first);
      seen[axis].last = std::max(seen[axis].last, by_it[axis].last);
    }
    all.push_back(&kernel);
  }
  Part pooled = PartOf(out, image.grid.size, image.grid.spacing_mm);
  const auto add = [&](const std::vector<double>& response, std::size_t times) {
    Pool(response, pooling, times, all.size(), pooled.image.values);
  };
  ForEachResponse(Taken(image, seen, boundary, image.grid.size), 0, all, boundary, out, add);
  return pooled;
}

}  // namespace consilium::engine
