#include "sharding/distinct_rows.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "base/check.h"
#include "sharding/table_keys.h"

namespace torii::sharding {
namespace {

// How many keys ahead the table's entries are fetched; 8 to 32 are equally good.
constexpr size_t kAhead = 16;
// 2^64 divided by the golden ratio: multiplicative hashing (Knuth).
constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;

}  // namespace

DistinctKeys FindDistinct(std::span<const int64_t> keys, int world_size) {
  DistinctFinder finder;
  DistinctKeys found;
  found.index.resize(keys.size());
  finder.Find(keys, world_size, found.index);
  found.keys = finder.keys();
  found.per_owner = finder.per_owner();
  return found;
}

void DistinctFinder::Find(std::span<const int64_t> keys, int world_size, std::span<int64_t> index) {
  TORII_CHECK(world_size >= 1, "world size ", world_size);
  TORII_CHECK(index.size() == keys.size(), index.size(), " places for ", keys.size(), " keys");
  FindInOrderOfUse(keys, index);
  if (world_size == 1) {
    per_owner_.assign(1, static_cast<int64_t>(keys_.size()));
  } else {
    GroupByOwner(world_size, index);
  }
}

void DistinctFinder::FindInOrderOfUse(std::span<const int64_t> keys, std::span<int64_t> index) {
  TORII_CHECK(keys.size() <= std::numeric_limits<uint32_t>::max(), keys.size(), " keys");
  // At most half full.
  const size_t size = std::bit_ceil(std::max<size_t>(2 * keys.size(), 16));
  if (table_.size() < size || ++call_ == 0) {
    table_.assign(std::max(size, table_.size()), {});
    call_ = 1;
  }
  const int shift = 64 - std::countr_zero(size);
  const size_t mask = size - 1;
  const auto first_probe = [shift](int64_t key) {
    return static_cast<size_t>((static_cast<uint64_t>(key) * kMultiplier) >> shift);
  };

  keys_.clear();
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i + kAhead < keys.size()) __builtin_prefetch(&table_[first_probe(keys[i + kAhead])], 1);
    const int64_t key = keys[i];
    TORII_CHECK(key >= 0, "key ", key, " at position ", i, " is negative");
    size_t probe = first_probe(key);
    while (table_[probe].call == call_ && table_[probe].key != key) probe = (probe + 1) & mask;
    Entry& entry = table_[probe];
    if (entry.call != call_) {
      entry = {key, static_cast<uint32_t>(keys_.size()), call_};
      keys_.push_back(key);
    }
    index[i] = entry.position;
  }
}

void DistinctFinder::GroupByOwner(int world_size, std::span<int64_t> index) {
  per_owner_.assign(static_cast<size_t>(world_size), 0);
  new_position_.resize(keys_.size());
  for (size_t k = 0; k < keys_.size(); ++k) {
    const int owner = OwnerOfKey(keys_[k], world_size);
    new_position_[k] = owner;
    ++per_owner_[static_cast<size_t>(owner)];
  }
  std::vector<int64_t> next(per_owner_.size(), 0);
  for (size_t w = 1; w < next.size(); ++w) next[w] = next[w - 1] + per_owner_[w - 1];

  grouped_.resize(keys_.size());
  for (size_t k = 0; k < keys_.size(); ++k) {
    const int64_t position = next[static_cast<size_t>(new_position_[k])]++;
    new_position_[k] = position;
    grouped_[static_cast<size_t>(position)] = keys_[k];
  }
  std::swap(keys_, grouped_);
  for (int64_t& i : index) i = new_position_[static_cast<size_t>(i)];
}

}  // namespace torii::sharding
