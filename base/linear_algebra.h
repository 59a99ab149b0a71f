// Eigen's products give the same bits only if its blocking does: the sizes are pinned, not read
// from the CPU.
#pragma once

namespace consilium {

// Fixes the cache sizes from which Eigen derives the blocking of matrix products. Call before any
// computation whose bits matter, on one thread; calling again is harmless.
void PinLinearAlgebra();

}  // namespace consilium
