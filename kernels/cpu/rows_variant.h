// What one instruction set offers for the rows of embedding tables. Included by the kernel sources,
// so it includes nothing that has inline functions (vector_lanes.h).
#pragma once

#include <cstdint>

#include "kernels/device_kernels.h"

namespace torii::kernels::cpu {

struct RowsVariant {
  const char* name;
  // out[i] = the row of slots[i]. past_cache: stores that leave no trace in the caches.
  void (*gather)(const float* rows, int64_t stride, const int64_t* slots, int64_t count,
                 int64_t dim, float* out, bool past_cache);
  // Sums the gradients of the rows [begin, end) in their order and updates each row once. sum:
  // scratch [dim].
  void (*update)(const RowStep& step, const TouchedRowList& touched, int64_t begin, int64_t end,
                 float* sum);
};

// One definition in each of rows_{baseline,avx2,avx512}.cc; null where the compiler has no such
// target.
extern const RowsVariant* const kRowsBaseline;
extern const RowsVariant* const kRowsAvx2;
extern const RowsVariant* const kRowsAvx512;

}  // namespace torii::kernels::cpu
