#include "base/linear_algebra.h"

#include <Eigen/Core>

namespace consilium {

void PinLinearAlgebra() { Eigen::setCpuCacheSizes(32 * 1024, 512 * 1024, 4 * 1024 * 1024); }

}  // namespace consilium
