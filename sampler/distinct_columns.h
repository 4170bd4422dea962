// The distinct columns of a step: pure arithmetic on lists of item rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace torii::sampler {

// The distinct items of all sources, ordered by (row mod W, row).
struct Columns {
  std::vector<int64_t> items;         // [U]
  std::vector<int64_t> owner_counts;  // [W] columns of each owner, contiguous in rank order
  std::vector<int64_t> of_positive;   // [G] the column of each positive
  std::vector<int64_t> of_extra;      // [M]
};

// Linear time. num_items: C, at most 2^32 - W.
Columns FindColumns(std::span<const int64_t> positives, std::span<const int64_t> extras,
                    int64_t num_items, int world_size);

}  // namespace torii::sampler
