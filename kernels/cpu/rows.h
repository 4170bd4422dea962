// Rows of embedding tables, float32: gathering them, and one step of a row optimizer over the rows
// that gradients touch, in one pass. The sum of a row's gradients has one fixed order. All
// functions may be called from several threads for different rows; none of them starts threads.
// `variant`: null for the best one of this machine.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/cpu/rows_variant.h"

namespace torii::kernels::cpu {

// out[i] = the row of slots[i]: `dim` floats from rows + slots[i] * stride. past_cache: for results
// far beyond the second-level cache, which would only throw other rows out of it.
void GatherRows(const float* rows, int64_t stride, std::span<const int64_t> slots, int64_t dim,
                float* out, bool past_cache, const RowsVariant* variant = nullptr);

// Sums the gradients of the rows [begin, end) of `touched` in their order and updates each row
// once (optimizer_rules.h). A row's bits depend on its own gradients alone.
void UpdateRows(const RowStep& step, const TouchedRowList& touched, int64_t begin, int64_t end,
                const RowsVariant* variant = nullptr);

}  // namespace torii::kernels::cpu
