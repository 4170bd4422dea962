// Sorting numbers with a small key in linear time.
#pragma once

#include <cstdint>
#include <vector>

namespace torii {

// Sorts `entries` by their upper 32 bits, which are at most `max_key`; equal keys keep their order.
// The lower 32 bits are the caller's, e.g. a position. `scratch` only lends its memory.
void SortByUpperHalf(std::vector<uint64_t>& entries, uint64_t max_key,
                     std::vector<uint64_t>& scratch);

}  // namespace torii
