// Marks a function to be compiled for wider vectors too; the machine's best is taken when the
// program starts. Lanes are independent and nothing is fused, so bits are the same in all of them.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#define CONSILIUM_VECTOR_CLONES(...) \
  __attribute__((target_clones(__VA_ARGS__, "default"), optimize("O3")))
#else
#define CONSILIUM_VECTOR_CLONES(...)
#endif
