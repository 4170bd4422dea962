#include "kernels/cpu/rows.h"

#include "kernels/cpu/aligned_floats.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels::cpu {

void GatherRows(const float* rows, int64_t stride, std::span<const int64_t> slots, int64_t dim,
                float* out, bool past_cache, const RowsVariant* variant) {
  Choose(variant, RunnableRowsVariants())
      .gather(rows, stride, slots.data(), static_cast<int64_t>(slots.size()), dim, out, past_cache);
}

void UpdateRows(const RowStep& step, const TouchedRowList& touched, int64_t begin, int64_t end,
                const RowsVariant* variant) {
  const AlignedFloats sum = MakeAlignedFloats(step.dim);
  Choose(variant, RunnableRowsVariants()).update(step, touched, begin, end, sum.get());
}

}  // namespace torii::kernels::cpu
