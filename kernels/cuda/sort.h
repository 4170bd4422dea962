// Sorting and running sums on the device: CUB's where nvcc compiles sort.cu, the standard library's
// in the emulation.
#pragma once

#include <cstdint>

namespace torii::kernels::cuda {

// Sorts keys below 2^bits in ascending order, each with its value; equal keys keep their order.
struct SortArgs {
  const uint32_t* keys = nullptr;    // [count]
  const uint32_t* values = nullptr;  // [count]
  int64_t count = 0;                 // below 2^31
  int bits = 32;
  uint32_t* sorted_keys = nullptr;    // [count]
  uint32_t* sorted_values = nullptr;  // [count]
};
void SortPairs(const SortArgs& args);

// sums[i] = x[0] + ... + x[i]; count below 2^31.
void RunningSums(const uint32_t* x, int64_t count, uint32_t* sums);

// begin[k], for k in [0, bound]: how many of the sorted numbers are below k.
void FindBegins(const uint32_t* sorted, int64_t count, int64_t bound, int64_t* begin);

// The bits that numbers below `bound` have.
inline int BitsBelow(int64_t bound) {
  int bits = 1;
  while (bits < 63 && (int64_t{1} << bits) < bound) ++bits;
  return bits;
}

}  // namespace torii::kernels::cuda
