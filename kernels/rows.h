// Rows of embedding tables, float32: gathering them, and one step of a row optimizer over the rows
// that gradients touch, in one pass. The sum of a row's gradients has one fixed order. All
// functions may be called from several threads for different rows; none of them starts threads.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/rows_variant.h"

namespace torii::kernels {

// out[i] = the row of slots[i]: `dim` floats from rows + slots[i] * stride. past_cache: for results
// far beyond the second-level cache, which would only throw other rows out of it.
void GatherRows(const float* rows, int64_t stride, std::span<const int64_t> slots, int64_t dim,
                float* out, bool past_cache);

// Sums the gradients of the rows [begin, end) of `touched` in their order and updates each row
// once: SGD, Adagrad, row-wise Adagrad or Adam. A row's bits depend on its own gradients alone.
void UpdateRows(const RowStep& step, const TouchedRowList& touched, int64_t begin, int64_t end);

}  // namespace torii::kernels
