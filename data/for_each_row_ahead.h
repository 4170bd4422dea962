// A loop over rows in random order that announces each row's memory some rows before it is read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace torii::data {

// Calls announce(row), which prefetches, 16 rows ahead of take(i, rows[i]): enough to hide a cache
// miss, few enough for the line fill buffers.
template <typename Announce, typename Take>
void ForEachRowAhead(std::span<const int64_t> rows, const Announce& announce, const Take& take) {
  constexpr size_t kAhead = 16;
  for (size_t i = 0; i < std::min(rows.size(), kAhead); ++i) announce(rows[i]);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i + kAhead < rows.size()) announce(rows[i + kAhead]);
    take(i, rows[i]);
  }
}

}  // namespace torii::data
