#include "engine/perturb/supervoxels.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "engine/intensity_scale/spread.h"

namespace consilium::engine {
namespace {

using Centre = std::array<double, 4>;  // x, y, z in mm, intensity

struct Clusters {
  Supervoxels pieces;
  std::vector<double> values;  // [voxels of the box]
  std::vector<Centre> centres;

  template <typename Work>
  void ForEachVoxel(const Work& work) const {
    const auto& size = pieces.grid.size;
    std::size_t i = 0;
    for (int z = 0; z < size[2]; ++z) {
      for (int y = 0; y < size[1]; ++y) {
        for (int x = 0; x < size[0]; ++x, ++i) work(std::array{x, y, z}, i);
      }
    }
  }

  // Blocks of voxels, one to each point of the lattice.
  void Begin(double step_mm) {
    const auto& size = pieces.grid.size;
    Grid lattice;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double count = std::floor(size[axis] * pieces.grid.spacing_mm[axis] / step_mm + 0.5);
      lattice.size[axis] = static_cast<int>(std::clamp(count, 1.0, size[axis] * 1.0));
    }
    pieces.count = static_cast<std::uint32_t>(lattice.voxel_count());
    pieces.label.resize(values.size());
    centres.resize(pieces.count);
    ForEachVoxel([&](const std::array<int, 3>& at, std::size_t i) {
      std::array<int, 3> block{};
      for (std::size_t axis = 0; axis < 3; ++axis)
        block[axis] = at[axis] * lattice.size[axis] / size[axis];
      pieces.label[i] = static_cast<std::uint32_t>(lattice.Index(block[0], block[1], block[2]));
    });
  }

  // Each centre to the mean of its voxels; one without voxels stays.
  void MoveCentres() {
    std::vector<Centre> sums(pieces.count);
    std::vector<double> voxels(pieces.count);
    ForEachVoxel([&](const std::array<int, 3>& at, std::size_t i) {
      Centre& sum = sums[pieces.label[i]];
      for (std::size_t axis = 0; axis < 3; ++axis)
        sum[axis] += at[axis] * pieces.grid.spacing_mm[axis];
      sum[3] += values[i];
      ++voxels[pieces.label[i]];
    });
    for (std::size_t c = 0; c < centres.size(); ++c) {
      for (std::size_t d = 0; d < 4 && voxels[c] > 0; ++d) centres[c][d] = sums[c][d] / voxels[c];
    }
  }

  // Each voxel to its nearest centre; intensities are divided by `contrast`.
  void Gather(double step_mm, double contrast) {
    const auto& spacing = pieces.grid.spacing_mm;
    std::vector<double> nearest(values.size(), std::numeric_limits<double>::infinity());
    for (std::uint32_t c = 0; c < pieces.count; ++c) {
      const Centre& centre = centres[c];
      std::array<int, 3> low{}, high{};
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const double last = pieces.grid.size[axis] - 1;
        low[axis] =
            static_cast<int>(std::max(0.0, std::ceil((centre[axis] - step_mm) / spacing[axis])));
        high[axis] =
            static_cast<int>(std::min(last, std::floor((centre[axis] + step_mm) / spacing[axis])));
      }
      for (int z = low[2]; z <= high[2]; ++z) {
        for (int y = low[1]; y <= high[1]; ++y) {
          const double dy = y * spacing[1] - centre[1], dz = z * spacing[2] - centre[2];
          std::size_t i = pieces.grid.Index(low[0], y, z);
          for (int x = low[0]; x <= high[0]; ++x, ++i) {
            const double dx = x * spacing[0] - centre[0], dv = (values[i] - centre[3]) / contrast;
            const double apart = dv * dv + (dx * dx + dy * dy + dz * dz) / (step_mm * step_mm);
            if (apart < nearest[i]) {
              nearest[i] = apart;
              pieces.label[i] = c;
            }
          }
        }
      }
    }
  }
};

}  // namespace

Result<Supervoxels> SupervoxelsOf(const Image& image, const Box& box,
                                  const SupervoxelOptions& options) {
  if (!(options.step_mm > 0) || !std::isfinite(options.step_mm) || !(options.contrast_sds > 0) ||
      options.iterations < 1) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("step_mm = {}, contrast_sds = {}, iterations = {}: must be > 0, > 0, "
                            ">= 1",
                            options.step_mm, options.contrast_sds, options.iterations));
  }
  Clusters clusters;
  clusters.pieces.grid.spacing_mm = image.grid.spacing_mm;
  for (std::size_t axis = 0; axis < 3; ++axis)
    clusters.pieces.grid.size[axis] = box.last[axis] - box.first[axis] + 1;
  clusters.ForEachVoxel([&](const std::array<int, 3>& at, std::size_t) {
    clusters.values.push_back(image.values[image.grid.Index(
        at[0] + box.first[0], at[1] + box.first[1], at[2] + box.first[2])]);
  });
  const double sd = MeanAndSdOf(clusters.values, false).sd;
  if (!std::isfinite(sd)) {
    return Fail(ErrorCode::kInvalidArgument,
                "an intensity in or near the region is not a finite number; repair the image");
  }
  clusters.Begin(options.step_mm);
  for (int iteration = 0; iteration < options.iterations; ++iteration) {
    clusters.MoveCentres();
    clusters.Gather(options.step_mm, sd > 0 ? options.contrast_sds * sd : 1);
  }
  return std::move(clusters.pieces);
}

}  // namespace consilium::engine
