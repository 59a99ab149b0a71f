#include "engine/grey_levels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>
#include <numeric>

#include "engine/intensity.h"
#include "engine/vector_clones.h"

namespace consilium::engine {
namespace {

constexpr std::array<Direction, 13> kDirections = {{{1, 0, 0},
                                                    {0, 1, 0},
                                                    {1, 1, 0},
                                                    {-1, 1, 0},
                                                    {0, 0, 1},
                                                    {1, 0, 1},
                                                    {-1, 0, 1},
                                                    {0, 1, 1},
                                                    {0, -1, 1},
                                                    {1, 1, 1},
                                                    {-1, 1, 1},
                                                    {1, -1, 1},
                                                    {-1, -1, 1}}};

tl::unexpected<Error> TooMany(double count, double range, std::string_view what) {
  return Fail(ErrorCode::kOutOfRange,
              fmt::format("{} make {:.0f} grey levels of intensities that span {}, expected at "
                          "most {}; widen the bins to {} or more",
                          what, count, range, kGreyLevelsMax, range / kGreyLevelsMax));
}

tl::unexpected<Error> TooLarge(double maximum) {
  return Fail(ErrorCode::kOutOfRange,
              fmt::format("intensities up to {} are too large for bins so narrow: their edges are "
                          "the same number; widen the bins or rescale the image",
                          maximum));
}

// The largest k with edge(k) <= x, for edges that ascend by `step` but for rounding.
template <typename Edge>
double BinOf(double x, double step, const Edge& edge) {
  double k = std::max(0.0, std::floor((x - edge(0)) / step));
  while (k > 0 && edge(k) > x) --k;
  while (edge(k + 1) <= x) ++k;
  return k;
}

// BinOf + 1 with edge(k) = lowest + k * step, where it is the quotient's whole part for all; else
// false.
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
bool PutIntoBins(std::span<const double> intensities, double lowest, double step,
                 std::uint16_t* __restrict levels) {
  int outside = 0;
  for (std::size_t i = 0; i < intensities.size(); ++i) {
    const double x = intensities[i];
    const int k = static_cast<int>((x - lowest) / step);
    outside |=
        static_cast<int>(x < lowest + k * step) | static_cast<int>(x >= lowest + (k + 1) * step);
    levels[i] = static_cast<std::uint16_t>(k + 1);
  }
  return outside == 0;
}

}  // namespace

std::span<const Direction> Directions3d() { return kDirections; }
std::span<const Direction> Directions2d() { return std::span(kDirections).first(4); }

Result<GreyLevels> Discretise(std::span<const double> intensities, const Discretisation& how) {
  using Method = Discretisation::Method;
  if (intensities.empty())
    return Fail(ErrorCode::kInvalidArgument, "a region without a voxel has no grey levels");
  const IntensityRange range = RangeOf(intensities);
  const double minimum = range.low, maximum = range.high;
  if (!range.finite) {
    return Fail(ErrorCode::kInvalidArgument,
                "an intensity in the region is not a finite number; repair or resegment the image");
  }
  GreyLevels result;
  result.levels.reserve(intensities.size());
  const auto put = [&](double level) {
    const auto whole = static_cast<std::uint16_t>(level);
    result.levels.push_back(whole);
    result.count = std::max(result.count, static_cast<int>(whole));
  };
  if (how.method == Method::kNone) {
    if (!(minimum >= 0.5)) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("intensities are taken as grey levels and begin at {}, expected >= 1; "
                      "name a bin width or a number of bins",
                      minimum));
    }
    if (maximum >= kGreyLevelsMax + 0.5)
      return TooMany(maximum, maximum, "intensities as they are");
    for (const double x : intensities) put(std::floor(x + 0.5));
    return result;
  }
  if (how.method == Method::kFixedBinNumber) {
    if (how.bin_count < 1 || how.bin_count > kGreyLevelsMax) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("bin_count = {}, must be 1 to {}", how.bin_count, kGreyLevelsMax));
    }
    if (how.pyradiomics_edges) {
      const double flat = maximum > minimum ? 0 : 0.5, first = minimum - flat;
      const double step = (maximum + flat - first) / how.bin_count;
      if (!(step > 0) || !(maximum + flat + 1 > maximum)) return TooLarge(maximum);
      const auto edge = [&](double k) {
        return k < how.bin_count ? k * step + first : maximum + flat + 1;
      };
      for (const double x : intensities) put(BinOf(x, step, edge) + 1);
      return result;
    }
    for (const double x : intensities) {
      const double part = maximum > minimum ? (x - minimum) / (maximum - minimum) : 0;
      put(std::min(std::floor(how.bin_count * part) + 1, static_cast<double>(how.bin_count)));
    }
    result.count = maximum > minimum ? how.bin_count : 1;
    return result;
  }
  if (!(how.bin_width > 0) || !std::isfinite(how.bin_width))
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("bin_width = {}, must be > 0", how.bin_width));
  const double width = how.bin_width;
  double lowest = how.lowest.value_or(minimum);
  if (how.pyradiomics_edges) {
    const double rest = std::fmod(minimum, width);
    lowest = minimum - (rest < 0 ? rest + width : rest);
  }
  if (minimum < lowest) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("an intensity of {} lies below the first bin's edge {}; resegment the "
                            "region to the same range first",
                            minimum, lowest));
  }
  const double count = std::floor((maximum - lowest) / width) + 1;
  if (count > kGreyLevelsMax)
    return TooMany(count, maximum - lowest, fmt::format("bins of width {}", width));
  if (how.pyradiomics_edges) {
    const double step = lowest + width - lowest;
    if (!(step > 0)) return TooLarge(maximum);
    result.levels.resize(intensities.size());
    const auto edge = [&](double k) { return lowest + k * step; };
    const auto level_of = [&](double x) {
      return static_cast<std::uint16_t>(BinOf(x, step, edge) + 1);
    };
    if (!PutIntoBins(intensities, lowest, step, result.levels.data()))
      std::transform(intensities.begin(), intensities.end(), result.levels.begin(), level_of);
    result.count = level_of(maximum);
    return result;
  }
  for (const double x : intensities) put(std::floor((x - lowest) / width) + 1);
  return result;
}

std::vector<Direction> DirectionsAt(std::span<const int> distances, bool in_slice) {
  std::vector<Direction> directions;
  const int most = distances.empty() ? 0 : *std::max_element(distances.begin(), distances.end());
  for (int z = 0; z <= (in_slice ? 0 : most); ++z) {
    for (int y = z == 0 ? 0 : -most; y <= most; ++y) {
      for (int x = z == 0 && y == 0 ? 1 : -most; x <= most; ++x) {
        const int distance = std::max({z, std::abs(y), std::abs(x)});
        if (std::find(distances.begin(), distances.end(), distance) != distances.end())
          directions.push_back({x, y, z});
      }
    }
  }
  return directions;
}

std::vector<std::ptrdiff_t> StepsBothWays(const LevelBox& levels,
                                          std::span<const Direction> directions) {
  std::vector<std::ptrdiff_t> steps;
  for (const Direction& direction : directions) {
    steps.push_back(levels.Step(direction));
    steps.push_back(-levels.Step(direction));
  }
  return steps;
}

std::vector<std::ptrdiff_t> NeighbourSteps(const LevelBox& levels, int distance, bool in_slice) {
  std::vector<std::ptrdiff_t> steps;
  const int deep = in_slice ? 0 : distance;
  for (int z = -deep; z <= deep; ++z) {
    for (int y = -distance; y <= distance; ++y) {
      for (int x = -distance; x <= distance; ++x) {
        if (x != 0 || y != 0 || z != 0) steps.push_back(levels.Step({x, y, z}));
      }
    }
  }
  return steps;
}

LevelBox::LevelBox(const Mask& mask, const GreyLevels& levels, int border)
    : level_sizes_(static_cast<std::size_t>(levels.count) + 1),
      level_count_(levels.count),
      border_(border) {
  for (const std::uint16_t level : levels.levels) ++level_sizes_[level];
  const Box box = BoundingBoxOf(mask);
  if (box.empty) {
    slice_begin_ = {0};
    return;
  }
  origin_ = box.first;
  std::array<int, 3> padded{};
  for (std::size_t a = 0; a < 3; ++a) {
    size_[a] = box.last[a] - box.first[a] + 1;
    padded[a] = size_[a] + 2 * border;
  }
  const Grid inner{padded, {1, 1, 1}};
  strides_ = {1, padded[0], static_cast<std::ptrdiff_t>(padded[0]) * padded[1]};
  if (inner.voxel_count() > kPaddedMax) throw std::bad_alloc();  // as memory for it would be
  data_.assign(inner.voxel_count(), 0);
  voxels_.resize(levels.levels.size());
  std::size_t next = 0;
  for (int z = 0; z < size_[2]; ++z) {
    slice_begin_.push_back(next);
    for (int y = 0; y < size_[1]; ++y) {
      const std::size_t row = mask.grid.Index(box.first[0], box.first[1] + y, box.first[2] + z);
      const std::size_t to = inner.Index(border, border + y, border + z);
      ForEachRun(mask, row, row + static_cast<std::size_t>(size_[0]),
                 [&](std::size_t first, std::size_t length) {
                   const std::size_t at = to + first - row;
                   std::copy_n(&levels.levels[next], length, &data_[at]);
                   std::iota(&voxels_[next], &voxels_[next] + length,
                             static_cast<std::uint32_t>(at));
                   next += length;
                 });
    }
  }
  slice_begin_.push_back(next);
}

std::span<const std::uint32_t> LevelBox::voxels(int z) const {
  const auto slice = static_cast<std::size_t>(z);
  return std::span(voxels_).subspan(slice_begin_[slice],
                                    slice_begin_[slice + 1] - slice_begin_[slice]);
}

std::vector<std::uint32_t> LevelBox::level_sizes(int z) const {
  if (z < 0) return level_sizes_;
  std::vector<std::uint32_t> sizes(level_sizes_.size());
  for (const std::uint32_t at : voxels(z)) ++sizes[data_[at]];
  return sizes;
}

}  // namespace consilium::engine
