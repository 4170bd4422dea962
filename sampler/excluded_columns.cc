#include "sampler/excluded_columns.h"

#include <algorithm>

#include "kernels/host_tensors.h"
#include "sampler/distinct_items.h"

namespace torii::sampler {

void FillExcluded(std::span<const int64_t> items, std::span<const int64_t> positive,
                  const StepRows& rows, const KnownPositives& known, Candidates* candidates) {
  DistinctItems column_of(items.size());
  for (const int64_t item : items) column_of.Insert(item);

  std::vector<int64_t> begin = {0}, excluded;
  for (int64_t r = 0; r < rows.groups.queries(); ++r) {
    const auto first = static_cast<ptrdiff_t>(excluded.size());
    const int64_t own = rows.groups.one_each() ? positive[static_cast<size_t>(r)] : -1;
    for (const int32_t item : known(r)) {
      const int64_t column = column_of.Find(item);
      if (column >= 0 && column != own) excluded.push_back(column);
    }
    // A user may have the same item several times.
    std::sort(excluded.begin() + first, excluded.end());
    excluded.erase(std::unique(excluded.begin() + first, excluded.end()), excluded.end());
    begin.push_back(static_cast<int64_t>(excluded.size()));
  }
  candidates->excluded_begin = kernels::TensorOf(begin);
  candidates->excluded = kernels::TensorOf(excluded);
}

}  // namespace torii::sampler
