// The candidate columns of one step and the facts about them.
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "base/column_facts.h"

namespace torii::sampler {

// Columns whose vectors were computed in earlier steps and are remembered, a slot for each
// (trainer/step/past_vectors.h). No rank computes them, and their gradient goes nowhere.
struct PastColumns {
  at::Tensor items;  // [F] int64 item rows, none of them in Candidates::rows
  at::Tensor slots;  // [F] int64 of their vectors
  // What is remembered after this step: the vector of column kept_columns[i] of Candidates::rows
  // goes to the slot kept_slots[i].
  at::Tensor kept_columns, kept_slots;  // [n] int64
};

struct Candidates {
  at::Tensor rows;                     // [U] int64 distinct item rows, ordered by (owner, row)
  std::vector<int64_t> owner_columns;  // [W] columns of each owner, contiguous in rank order
  // Whether `rows` is the same on all ranks. If not, `rows` has only the items that this rank's own
  // rows are scored against.
  bool same_on_all_ranks = true;
  // int64 into rows: the columns that this rank's rows are scored against; undefined: all of them.
  at::Tensor seen_columns;

  // Columns behind the seen ones, the same on all ranks. Undefined if no source remembers.
  PastColumns past;

  // Of the seen columns and the past ones.
  ColumnFacts facts;          // only if all columns were asked
  at::Tensor positive;        // [B] int64: the column of each row's own item
  at::Tensor negatives;       // [B, n] int64: columns of each row's own negatives, -1: none
  at::Tensor excluded_begin;  // [R + 1] int64, undefined without mask_known_positives
  at::Tensor excluded;        // int64: columns that the rows of query i do not see are
                              //   excluded[excluded_begin[i] .. excluded_begin[i + 1])

  double weight_sum = 0;  // of the row weights of all ranks

  // U, the past columns counted.
  int64_t num_columns() const {
    return rows.size(0) + (past.items.defined() ? past.items.size(0) : 0);
  }
};

}  // namespace torii::sampler
