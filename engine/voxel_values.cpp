#include "engine/voxel_values.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace consilium::engine {

VoxelValues VoxelValues::Smallest(std::vector<double> values) {
  const bool fit = std::all_of(values.begin(), values.end(), [](double value) {
    if (!std::isfinite(value)) return true;
    return std::abs(value) <= std::numeric_limits<float>::max() &&
           static_cast<double>(static_cast<float>(value)) == value;
  });
  if (fit) return std::vector<float>(values.begin(), values.end());
  return values;
}

std::vector<double>& VoxelValues::Doubles() {
  if (!singles_.empty()) {
    doubles_.assign(singles_.begin(), singles_.end());
    singles_ = {};
  }
  return doubles_;
}

bool operator==(const VoxelValues& a, const VoxelValues& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

}  // namespace consilium::engine
