#include "engine/filter/convolution.h"

#include <algorithm>
#include <bit>
#include <map>
#include <span>
#include <type_traits>
#include <utility>

#include "engine/vector_clones.h"

namespace consilium::engine {
namespace {

// `kWidth` voxels of a response, of those that begin at `x` of each row.
template <std::size_t kWidth, typename Number>
[[gnu::always_inline]] inline void WeighBlock(std::span<const Number* const> rows,
                                              std::span<const Number> taps, std::size_t x,
                                              Number* __restrict put) {
  std::array<Number, kWidth> sum{};
  for (std::size_t j = 0; j < taps.size(); ++j) {
    const Number tap = taps[j];
    const Number* row = rows[j] + x;
    for (std::size_t lane = 0; lane < kWidth; ++lane) sum[lane] += tap * row[lane];
  }
  for (std::size_t lane = 0; lane < kWidth; ++lane) put[x + lane] = sum[lane];
}

template <typename Number>
[[gnu::always_inline]] inline void WeighRows(std::span<const Number* const> rows,
                                             std::span<const Number> taps, Number* __restrict put,
                                             std::size_t width) {
  std::size_t x = 0;
  for (; x + 32 <= width; x += 32) WeighBlock<32>(rows, taps, x, put);
  for (; x + 8 <= width; x += 8) WeighBlock<8>(rows, taps, x, put);
  for (; x < width; ++x) WeighBlock<1>(rows, taps, x, put);
}

// The response of a kernel that meets the rows with its taps: `rows` and `taps` of one length.
// Every voxel adds in the order of the taps, none fused.
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
void Weigh(std::span<const double* const> rows, std::span<const double> taps,
           double* __restrict put, std::size_t width) {
  WeighRows(rows, taps, put, width);
}
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
void Weigh(std::span<const float* const> rows, std::span<const float> taps, float* __restrict put,
           std::size_t width) {
  WeighRows(rows, taps, put, width);
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

template <typename Number>
PartIn<Number> PartOf(const Ranges& where, const std::array<int, 3>& whole,
                      const std::array<double, 3>& spacing_mm) {
  return {whole, where, GridOf(where, spacing_mm), {}};
}

// For each position of `out` how many taps meet voxels behind the last one of a periodic line.
std::vector<int> TapsBehind(const Range& out, const Kernel& kernel, int size, Boundary boundary) {
  std::vector<int> behind(static_cast<std::size_t>(out.length()));
  for (std::size_t o = 0; o < behind.size() && boundary == Boundary::kPeriodic; ++o) {
    const int at = VoxelAt(out.first + static_cast<int>(o), size, boundary);
    behind[o] = std::clamp(at + kernel.centre + 1 - size, 0, static_cast<int>(kernel.taps.size()));
  }
  return behind;
}

template <typename Number>
PartIn<Number> Convolved(const PartIn<Number>& from, std::size_t axis, const Kernel& kernel,
                         Boundary boundary, const Range& out) {
  Ranges where = from.where;
  where[axis] = out;
  auto to = PartOf<Number>(where, from.whole, from.grid.spacing_mm);
  const Grid &old = from.grid, &grid = to.grid;
  to.values.resize(grid.voxel_count());
  const auto taps = static_cast<int>(kernel.taps.size());
  const auto positions =
      Positions({out.first + kernel.centre - (taps - 1), out.last + kernel.centre},
                from.where[axis], from.whole[axis], boundary);
  const auto behind = TapsBehind(out, kernel, from.whole[axis], boundary);
  std::vector<Number> line(axis == 0 ? positions.size() : 0);  // along x, with its surroundings
  std::vector<const Number*> rows;
  std::vector<Number> weights;
  // Calls `meet` with a tap and, counted from the first that any meets, the position under it.
  const auto for_each_tap = [&](int o, int first, const auto& meet) {
    for (int k = 0; k < taps; ++k) {
      const int j = k < first ? first - 1 - k : k;
      const double tap = kernel.taps[static_cast<std::size_t>(j)];
      if (tap == 0) continue;  // between the taps of a level's filter
      meet(static_cast<Number>(tap), static_cast<std::size_t>(o + taps - 1 - j));
    }
  };
  const auto weigh = [&](Number* put, int width) {
    Weigh(std::span<const Number* const>(rows), std::span<const Number>(weights), put,
          static_cast<std::size_t>(width));
    rows.clear();
    weights.clear();
  };
  const auto along_line = [&](Number tap, std::size_t under) {
    rows.push_back(&line[under]);
    weights.push_back(tap);
  };
  for (int z = 0; z < grid.size[2]; ++z) {
    for (int y = 0; y < grid.size[1]; ++y) {
      Number* put = &to.values[grid.Index(0, y, z)];
      if (axis == 0) {
        const Number* row = &from.values[old.Index(0, y, z)];
        std::transform(positions.begin(), positions.end(), line.begin(),
                       [row](int at) { return at == kNoVoxel ? 0 : row[at]; });
        for_each_tap(0, 0, along_line);
        weigh(put, grid.size[0]);
        for (int x = 0; x < grid.size[0]; ++x) {
          const int first = behind[static_cast<std::size_t>(x)];
          if (first == 0) continue;
          for_each_tap(x, first, along_line);
          weigh(put + x, 1);
        }
        continue;
      }
      const int o = axis == 1 ? y : z;
      for_each_tap(o, behind[static_cast<std::size_t>(o)], [&](Number tap, std::size_t under) {
        const int at = positions[under];
        if (at == kNoVoxel) return;
        rows.push_back(&from.values[axis == 1 ? old.Index(0, at, z) : old.Index(0, y, at)]);
        weights.push_back(tap);
      });
      weigh(put, grid.size[0]);
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
    work(part.values, kernels.size());
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

template <typename Number>
PartIn<Number> Taken(const Image& image, const Ranges& where, Boundary boundary,
                     const std::array<int, 3>& whole) {
  auto part = PartOf<Number>(where, whole, image.grid.spacing_mm);
  part.values.reserve(part.grid.voxel_count());
  std::array<std::vector<int>, 3> at;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    at[axis] = Positions(where[axis], {0, whole[axis] - 1}, whole[axis], boundary);
    for (int& voxel : at[axis]) voxel = voxel == kNoVoxel ? voxel : voxel % image.grid.size[axis];
  }
  image.values.Visit([&](const auto& values) {
    for (const int z : at[2]) {
      for (const int y : at[1]) {
        for (const int x : at[0]) {
          const bool none = x == kNoVoxel || y == kNoVoxel || z == kNoVoxel;
          part.values.push_back(none ? 0 : static_cast<Number>(values[image.grid.Index(x, y, z)]));
        }
      }
    }
  });
  return part;
}
template PartIn<float> Taken(const Image&, const Ranges&, Boundary, const std::array<int, 3>&);
template PartIn<double> Taken(const Image&, const Ranges&, Boundary, const std::array<int, 3>&);

template <typename Number>
PartIn<Number> Convolved(const PartIn<Number>& from, std::size_t axis, const Chain& chain,
                         Boundary boundary, const Range& out) {
  if (chain.empty()) return from;
  std::vector<Range> outs = {out};  // of the last kernel, of the one before it, ...
  for (std::size_t k = chain.size(); k-- > 1;)
    outs.push_back(SeenBy(chain[k], outs.back(), from.whole[axis], boundary));
  PartIn<Number> part;
  for (const Kernel& kernel : chain) {
    part = Convolved(&kernel == chain.data() ? from : part, axis, kernel, boundary, outs.back());
    outs.pop_back();
  }
  return part;
}
template PartIn<float> Convolved(const PartIn<float>&, std::size_t, const Chain&, Boundary,
                                 const Range&);
template PartIn<double> Convolved(const PartIn<double>&, std::size_t, const Chain&, Boundary,
                                  const Range&);

template <typename Number>
PartIn<Number> Convolved(const Image& image, const Ranges& where, const std::array<int, 3>& whole,
                         std::size_t axis, const Chain& chain, Boundary boundary,
                         const Range& out) {
  if (axis == 2)
    return Convolved(Taken<Number>(image, where, boundary, whole), axis, chain, boundary, out);
  Ranges there = where;
  there[axis] = out;
  auto part = PartOf<Number>(there, whole, image.grid.spacing_mm);
  part.values.reserve(part.grid.voxel_count());
  for (int z = where[2].first; z <= where[2].last; ++z) {
    Ranges plane = where;
    plane[2] = {z, z};
    const auto convolved =
        Convolved(Taken<Number>(image, plane, boundary, whole), axis, chain, boundary, out);
    part.values.insert(part.values.end(), convolved.values.begin(), convolved.values.end());
  }
  return part;
}
template PartIn<float> Convolved(const Image&, const Ranges&, const std::array<int, 3>&,
                                 std::size_t, const Chain&, Boundary, const Range&);
template PartIn<double> Convolved(const Image&, const Ranges&, const std::array<int, 3>&,
                                  std::size_t, const Chain&, Boundary, const Range&);

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
  Part pooled = PartOf<double>(out, image.grid.size, image.grid.spacing_mm);
  const auto add = [&](const std::vector<double>& response, std::size_t times) {
    Pool(response, pooling, times, all.size(), pooled.values);
  };
  ForEachResponse(Taken<double>(image, seen, boundary, image.grid.size), 0, all, boundary, out,
                  add);
  return pooled;
}

}  // namespace consilium::engine
