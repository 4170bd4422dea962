// Numbers the distinct items of a list in the order of their first use.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace torii::sampler {

// A hash map from item row to 0, 1, 2, ... with a bound on the number of items fixed at the start.
class DistinctItems {
 public:
  explicit DistinctItems(size_t max_items)
      : table_(std::bit_ceil(2 * max_items + 16), Entry{-1, -1}),
        shift_(64 - std::countr_zero(table_.size())) {}

  // The number of `item` (>= 0), a new one if it was not seen before.
  int64_t Insert(int64_t item) {
    Entry& entry = table_[Probe(item)];
    if (entry.item < 0) {
      entry = {item, static_cast<int64_t>(items_.size())};
      items_.push_back(item);
    }
    return entry.number;
  }
  // -1 if it was never inserted.
  int64_t Find(int64_t item) const { return table_[Probe(item)].number; }
  // By number.
  const std::vector<int64_t>& items() const { return items_; }

 private:
  struct Entry {
    int64_t item;
    int64_t number;
  };
  size_t Probe(int64_t item) const {
    // Multiplicative hashing with 2^64 divided by the golden ratio (Knuth), linear probing.
    size_t probe = (static_cast<uint64_t>(item) * 0x9E3779B97F4A7C15) >> shift_;
    while (table_[probe].item != item && table_[probe].item >= 0) {
      probe = (probe + 1) & (table_.size() - 1);
    }
    return probe;
  }

  std::vector<Entry> table_;  // at most half full
  int shift_;
  std::vector<int64_t> items_;
};

}  // namespace torii::sampler
