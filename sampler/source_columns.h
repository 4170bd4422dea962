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
  std::vector<int64_t> positive;       // [own B] column of each of this rank's positives
  std::vector<int32_t> multiplicity;   // [S, U] copies of each item, by source
  // If not sees_all: the columns of `items` that this rank's rows see, ascending. Then `positive`
  // and `multiplicity` count these columns only.
  std::vector<int64_t> seen;
  bool sees_all = true;

  int64_t num_seen() const { return sees_all ? std::ssize(items) : std::ssize(seen); }
  int64_t SeenItem(int64_t column) const {
    const auto c = static_cast<size_t>(column);
    return items[sees_all ? c : static_cast<size_t>(seen[c])];
  }
};

SourceColumns ColumnsOf(std::span<const std::unique_ptr<Source>> sources,
                        const StepPositives& positives, int64_t step, const Partition& corpus);

// The facts about the seen columns.
ColumnFacts FactsOf(std::span<const std::unique_ptr<Source>> sources,
                    const StepPositives& positives, const SourceColumns& columns,
                    int64_t num_items);

}  // namespace torii::sampler
