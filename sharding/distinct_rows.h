// The arithmetic of planning a lookup: the distinct ones of the asked keys, grouped by owner.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace torii::sharding {

struct DistinctKeys {
  std::vector<int64_t> keys;       // distinct, ordered by (owner, first use)
  std::vector<int64_t> per_owner;  // [W]
  std::vector<int64_t> index;      // [asked] position of each asked key in `keys`
};

// Linear time. Keys are >= 0; table_keys.h says who owns one.
DistinctKeys FindDistinct(std::span<const int64_t> keys, int world_size);

// The same with its scratch memory kept between calls. Not thread-safe.
class DistinctFinder {
 public:
  // index: [keys.size()], filled with positions in keys(). The results stay valid until the next
  // call.
  void Find(std::span<const int64_t> keys, int world_size, std::span<int64_t> index);
  const std::vector<int64_t>& keys() const { return keys_; }
  const std::vector<int64_t>& per_owner() const { return per_owner_; }

 private:
  void FindInOrderOfUse(std::span<const int64_t> keys, std::span<int64_t> index);
  void GroupByOwner(int world_size, std::span<int64_t> index);

  struct Entry {
    int64_t key;
    uint32_t position;  // in keys_
    uint32_t call = 0;  // the call that wrote the entry; for any other call it is empty
  };
  std::vector<Entry> table_;  // open addressing, a power of two in size
  uint32_t call_ = 0;
  std::vector<int64_t> keys_, per_owner_;
  std::vector<int64_t> grouped_, new_position_;  // scratch of GroupByOwner
};

}  // namespace torii::sharding
