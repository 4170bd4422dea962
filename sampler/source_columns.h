// The columns of all sources at one step, and how often each source put each of them there.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/column_facts.h"
#include "base/partition.h"
#include "sampler/source.h"

namespace torii::sampler {

struct SourceColumns {
  std::vector<int64_t> items;          // [U] distinct, ordered by (owner, row)
  std::vector<int64_t> owner_columns;  // [W]
  std::vector<int64_t> of_positive;    // [G] column of each positive of all ranks
  // [F] items that only the past has, and the slots of their newest vectors.
  std::vector<int64_t> past_items, past_slots;
  // The columns of `items` that this rank's rows see, ascending, if they do not see all of them.
  std::vector<int64_t> seen;
  bool sees_all = true;

  // What this rank's rows see: columns of `items`, behind them the past ones.
  std::vector<int64_t> seen_items;
  std::vector<int64_t> positive;      // [own B] of this rank's positives
  std::vector<int64_t> draws;         // [S] drawn columns of a row, by source
  std::vector<int32_t> multiplicity;  // [S, seen] copies of each item, by source
};

// An item that a source remembers and that is also among the columns of the step has one column,
// with the vector of this step; what the sources drew of it adds up.
SourceColumns ColumnsOf(std::span<const std::unique_ptr<Source>> sources,
                        const StepPositives& positives, int64_t step, const Partition& corpus);

// The facts about what this rank's rows see.
ColumnFacts FactsOf(std::span<const std::unique_ptr<Source>> sources, const SourceColumns& columns,
                    int64_t num_items);

}  // namespace torii::sampler
