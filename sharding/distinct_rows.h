// Pure arithmetic of a lookup: which distinct keys are asked, grouped by their owner.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace torii::sharding {

struct DistinctKeys {
  std::vector<int64_t> keys;        // distinct, ordered by (key mod W, first use)
  std::vector<int64_t> per_owner;   // [W]
  std::vector<int64_t> index;       // [asked] position of each asked key in `keys`
};

// Linear time. Keys are >= 0.
DistinctKeys FindDistinct(std::span<const int64_t> keys, int world_size);

}  // namespace torii::sharding
