// Rows picked from a table of rows and added up. Starts no threads.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/device_kernels.h"

namespace torii::kernels::cpu {

// out [lists, width], for the lists [first, last): the weighted sum of their rows in order, zeros
// for an empty list. A list of one row without weights is a copy.
void PoolRows(const RowTable& table, const RowLists& lists, int64_t first, int64_t last,
              float* out);

// For each row, the lists that use it in order, and its weights there.
struct RowUses {
  std::vector<int64_t> begin, list;  // [rows + 1], [places]
  std::vector<float> weight;         // [places]; empty: all 1
};
RowUses FindUses(const RowLists& lists, int64_t rows);

}  // namespace torii::kernels::cpu
