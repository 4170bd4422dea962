// The candidate columns of one step and the facts about them.
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "base/column_facts.h"

namespace torii::sampler {

struct Candidates {
  at::Tensor rows;                     // [U] int64 distinct item rows, ordered by (owner, row)
  std::vector<int64_t> owner_columns;  // [W] columns of each owner, contiguous in rank order
  // Whether `rows` is the same on all ranks. If not, `rows` has only the items that this rank's own
  // rows are scored against.
  bool same_on_all_ranks = true;
  // int64 into rows: the columns that this rank's rows are scored against; undefined: all of them.
  at::Tensor seen_columns;

  // Of the seen columns.
  ColumnFacts facts;          // only if all columns were asked
  at::Tensor positive;        // [B] int64: the column of each row's own item
  at::Tensor negatives;       // [B, n] int64: columns of each row's own negatives, -1: none
  at::Tensor excluded_begin;  // [R + 1] int64, undefined without mask_known_positives
  at::Tensor excluded;        // int64: columns that the rows of query i do not see are
                              //   excluded[excluded_begin[i] .. excluded_begin[i + 1])

  double weight_sum = 0;  // of the row weights of all ranks
};

}  // namespace torii::sampler
