// Rows picked from a table of rows and added up. Starts no threads.
#pragma once

#include <cstdint>

namespace torii::kernels {

struct RowLists {
  const int64_t* index = nullptr;  // rows, list after list
  const int64_t* begin = nullptr;  // [lists + 1] places in index; null: one row in each list
  const float* weight = nullptr;   // of each place in index; null: 1
  const float* scale = nullptr;    // [lists] of each sum; null: 1
};

// Rows of `width` floats, `stride` floats apart.
struct RowTable {
  const float* rows = nullptr;
  int64_t width = 0, stride = 0;
};

// out [lists, width], for the lists [first, last): the weighted sum of their rows in order, zeros
// for an empty list. A list of one row without weights is a copy.
void PoolRows(const RowTable& table, const RowLists& lists, int64_t first, int64_t last,
              float* out);

}  // namespace torii::kernels
