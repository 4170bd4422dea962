// What is known about the candidate columns of a step, source by source. The sampler states facts;
// what a loss makes of them (a log Q correction, say) is the loss's affair. Only for layers that
// link LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"

namespace torii {

// S sources of negatives, U columns.
struct ColumnFacts {
  std::vector<std::string> sources;  // [S] names: "in_batch", "uniform", ...
  // [S] how many columns (repeats count) each source puts before a row.
  std::vector<int64_t> draws;
  at::Tensor multiplicity;   // [S, U] int32: copies of the column's item among these columns
  at::Tensor expected;       // [S, U] float64: E, the number of copies to expect
  int64_t corpus_items = 0;  // C
  // Whether a row's own positive is one of the copies. If not, its column may have multiplicity 0:
  // then only rows with that positive see it.
  bool counts_own_positive = true;

  int64_t num_sources() const { return static_cast<int64_t>(sources.size()); }
};

}  // namespace torii
