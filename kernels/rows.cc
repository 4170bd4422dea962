#include "kernels/rows.h"

#include "kernels/aligned_floats.h"
#include "kernels/rows_variants.h"

namespace torii::kernels {

void GatherRows(const float* rows, int64_t stride, std::span<const int64_t> slots, int64_t dim,
                float* out, bool past_cache) {
  static const RowsVariant& variant = *RunnableRowsVariants().front();
  variant.gather(rows, stride, slots.data(), static_cast<int64_t>(slots.size()), dim, out,
                 past_cache);
}

void UpdateRows(const RowStep& step, const TouchedRowList& touched, int64_t begin, int64_t end) {
  static const RowsVariant& variant = *RunnableRowsVariants().front();
  const AlignedFloats sum = MakeAlignedFloats(step.dim);
  variant.update(step, touched, begin, end, sum.get());
}

}  // namespace torii::kernels
