// Pooled rows in the table of the CPU.
#include <algorithm>
#include <cmath>

#include "base/parallel_for.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/pool_rows.h"

namespace torii::kernels::cpu {
namespace {

// Floats that a thread should have to move at least.
constexpr int64_t kGrainFloats = 16384;

void Pool(const RowTable& table, const RowLists& lists, float* out) {
  const int64_t floats_of_a_list =
      table.width * std::max<int64_t>(1, lists.places / std::max<int64_t>(1, lists.lists));
  ParallelFor(0, lists.lists,
              std::max<int64_t>(1, kGrainFloats / std::max<int64_t>(1, floats_of_a_list)),
              [&](int64_t begin, int64_t end) { PoolRows(table, lists, begin, end, out); });
}

// The same pooling, with lists and rows exchanged.
void PoolBackward(const RowTable& gradient, const RowLists& lists, int64_t rows, float* out) {
  const RowUses uses = FindUses(lists, rows);
  Pool(gradient,
       {.index = uses.list.data(),
        .begin = uses.begin.data(),
        .weight = uses.weight.empty() ? nullptr : uses.weight.data(),
        .lists = rows,
        .places = lists.places},
       out);
}

bool IsIdentity(const int64_t* index, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (index[i] != i) return false;
  }
  return true;
}

void InverseLengths(const int64_t* begin, int64_t lists, float* scale) {
  for (int64_t i = 0; i < lists; ++i) {
    scale[i] = 1.0F / static_cast<float>(std::max<int64_t>(1, begin[i + 1] - begin[i]));
  }
}

void RecencyWeights(const int64_t* begin, int64_t lists, double log_ratio, float* weight) {
  for (int64_t i = 0; i < lists; ++i) {
    // Sum of a geometric series; expm1 keeps it exact when the ratio is close to 1.
    const auto length = static_cast<double>(begin[i + 1] - begin[i]);
    const double total = std::expm1(length * log_ratio) / std::expm1(log_ratio);
    for (int64_t k = begin[i]; k < begin[i + 1]; ++k) {
      const auto age = static_cast<double>(begin[i + 1] - 1 - k);
      weight[k] = static_cast<float>(std::exp(age * log_ratio) / total);
    }
  }
}

}  // namespace

void AddPooledRows(DeviceKernels* table) {
  table->pool_rows = Pool;
  table->pool_rows_backward = PoolBackward;
  table->is_identity = IsIdentity;
  table->inverse_lengths = InverseLengths;
  table->recency_weights = RecencyWeights;
}

}  // namespace torii::kernels::cpu
