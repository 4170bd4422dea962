#include "sampler/distinct_columns.h"

#include "base/radix_sort.h"

namespace torii::sampler {

Columns FindColumns(std::span<const int64_t> positives, std::span<const int64_t> extras,
                    const Partition& corpus) {
  // One number for each item that orders by (owner, row), and where it was asked for.
  const int64_t most_owned = corpus.MostOwnedRows();
  std::vector<uint64_t> entries, scratch;
  entries.reserve(positives.size() + extras.size());
  for (const std::span<const int64_t> items : {positives, extras}) {
    for (const int64_t item : items) {
      const int64_t order = corpus.Owner(item) * most_owned + corpus.Slot(item);
      entries.push_back(static_cast<uint64_t>(order) << 32 | entries.size());
    }
  }
  SortByUpperHalf(entries, static_cast<uint64_t>(corpus.world_size() * most_owned), scratch);

  Columns columns;
  columns.items.reserve(entries.size());
  columns.owner_counts.assign(static_cast<size_t>(corpus.world_size()), 0);
  columns.of_positive.resize(positives.size());
  columns.of_extra.resize(extras.size());
  uint64_t last_order = ~uint64_t{0};
  for (const uint64_t entry : entries) {
    const size_t asked = entry & 0xFFFFFFFF;
    const bool is_extra = asked >= positives.size();
    const size_t place = is_extra ? asked - positives.size() : asked;
    if (entry >> 32 != last_order) {
      last_order = entry >> 32;
      const int64_t item = is_extra ? extras[place] : positives[place];
      columns.items.push_back(item);
      ++columns.owner_counts[static_cast<size_t>(corpus.Owner(item))];
    }
    (is_extra ? columns.of_extra : columns.of_positive)[place] = std::ssize(columns.items) - 1;
  }
  return columns;
}

}  // namespace torii::sampler
