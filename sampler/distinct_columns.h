// The distinct columns of a step: pure arithmetic on lists of item rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/partition.h"

namespace torii::sampler {

// The distinct items of all sources, ordered by (owner, row).
struct Columns {
  std::vector<int64_t> items;         // [U]
  std::vector<int64_t> owner_counts;  // [W] columns of each owner, contiguous in rank order
  std::vector<int64_t> of_positive;   // [G] the column of each positive
  std::vector<int64_t> of_extra;      // [M]
};

// Linear time. corpus: of C items, at most 2^32 - W, each with one owner.
Columns FindColumns(std::span<const int64_t> positives, std::span<const int64_t> extras,
                    const Partition& corpus);

}  // namespace torii::sampler
