#include "kernels/cpu/pool_rows.h"

#include <algorithm>

namespace torii::kernels::cpu {
namespace {

// Rows ahead of the one being read: enough to hide the memory's latency.
constexpr int64_t kAhead = 16;
constexpr int64_t kFloatsOfALine = 16;

void Prefetch(const float* row, int64_t width) {
  for (int64_t d = 0; d < width; d += kFloatsOfALine) __builtin_prefetch(row + d);
}

}  // namespace

void PoolRows(const RowTable& table, const RowLists& lists, int64_t first, int64_t last,
              float* out) {
  const int64_t width = table.width;
  const bool is_pick = lists.begin == nullptr;
  const int64_t end = is_pick ? last : lists.begin[last];
  for (int64_t i = first; i < last; ++i) {
    float* to = out + i * width;
    int64_t k = is_pick ? i : lists.begin[i];
    const int64_t list_end = is_pick ? i + 1 : lists.begin[i + 1];
    if (k == list_end) std::fill(to, to + width, 0.0F);
    for (bool is_first = true; k < list_end; ++k, is_first = false) {
      if (k + kAhead < end) Prefetch(table.rows + lists.index[k + kAhead] * table.stride, width);
      const float* row = table.rows + lists.index[k] * table.stride;
      const float weight = lists.weight != nullptr ? lists.weight[k] : 1.0F;
      if (is_first) {
        for (int64_t d = 0; d < width; ++d) to[d] = weight * row[d];
      } else {
        for (int64_t d = 0; d < width; ++d) to[d] += weight * row[d];
      }
    }
    if (lists.scale != nullptr) {
      for (int64_t d = 0; d < width; ++d) to[d] *= lists.scale[i];
    }
  }
}

RowUses FindUses(const RowLists& lists, int64_t rows) {
  RowUses uses;
  uses.begin.assign(static_cast<size_t>(rows) + 1, 0);
  uses.list.resize(static_cast<size_t>(lists.places));
  const bool is_weighted = lists.weight != nullptr || lists.scale != nullptr;
  if (is_weighted) uses.weight.resize(static_cast<size_t>(lists.places));
  // Counting sort: `begin` holds the ends first, and filling backwards turns them into beginnings.
  for (int64_t k = 0; k < lists.places; ++k) ++uses.begin[static_cast<size_t>(lists.index[k])];
  for (size_t r = 1; r < uses.begin.size(); ++r) uses.begin[r] += uses.begin[r - 1];
  for (int64_t i = lists.lists; i-- > 0;) {
    const int64_t first = lists.begin != nullptr ? lists.begin[i] : i;
    const int64_t last = lists.begin != nullptr ? lists.begin[i + 1] : i + 1;
    for (int64_t k = last; k-- > first;) {
      const auto place = static_cast<size_t>(--uses.begin[static_cast<size_t>(lists.index[k])]);
      uses.list[place] = i;
      if (!is_weighted) continue;
      uses.weight[place] = (lists.weight != nullptr ? lists.weight[k] : 1.0F) *
                           (lists.scale != nullptr ? lists.scale[i] : 1.0F);
    }
  }
  return uses;
}

}  // namespace torii::kernels::cpu
