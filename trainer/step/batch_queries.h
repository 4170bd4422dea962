// Which user vectors a batch needs: one for each row, or one for rows of a user that follow one
// another.
#pragma once

#include <cstdint>
#include <vector>

#include "base/row_groups.h"
#include "data/batch.h"

namespace torii::trainer {

struct BatchQueries {
  std::vector<int64_t> users;        // [R]
  RowGroups rows;                    // B rows over R queries
  std::vector<int64_t> dropout_key;  // [R] global positions; empty if rows share vectors
};

// share: rows of one user that follow one another get one vector (it depends on the user alone).
BatchQueries QueriesOf(const data::Batch& batch, bool share);

}  // namespace torii::trainer
