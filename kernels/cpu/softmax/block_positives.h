// What a block of queries does not sum with its other columns: the positives of its rows, and the
// columns that its queries do not see.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/split_evenly.h"
#include "kernels/device_kernels.h"

namespace torii::kernels::cpu {

// Keeps its memory from block to block.
class BlockPositives {
 public:
  // A column that is the positive of some rows of a query. Its exponential is not in the sums of
  // the other columns, so that 1 - P is exact however close P is to 1.
  struct Positive {
    int32_t query = 0;  // of the block
    int64_t column = 0;
    int64_t first_row = 0, end_row = 0;  // for RowsOf
    bool excluded = false;               // for the query's other rows
    double dot = 0;                      // the logit without offset, base 2
    double exponential = 0;              // for the query's other rows
    double others = 0;                   // sum of exponentials of the other columns
    double weight = 0;                   // sum of weight / (tau * sum of exponentials) of its rows
    float slope = 0;                     // weight of column in the gradient of the query
  };
  // An entry of a panel that is not summed with the others: excluded, or a positive.
  struct Hidden {
    int32_t query, column;  // of the block, of the panel
    int64_t positive;       // number of the positive, -1: none
  };

  // The positives of queries [block.begin, block.end), and the hidden entries of each of `panels`
  // panels. logit: the product of a query of the block with a column.
  using Logit = absl::FunctionRef<double(int64_t query, int64_t column)>;
  void Collect(const SoftmaxArgs& args, const Range& block, int64_t panels, int64_t panel_width,
               Logit logit);

  // By query and column.
  std::span<const Positive> all() const { return positives_; }
  std::span<Positive> OfQuery(int64_t query) {
    const int64_t* begin = begin_.data() + query;
    return {positives_.data() + begin[0], positives_.data() + begin[1]};
  }
  // The batch rows that have it as their own item.
  std::span<const int64_t> RowsOf(const Positive& positive) const {
    return {rows_.data() + positive.first_row, rows_.data() + positive.end_row};
  }
  std::span<const Hidden> HiddenOf(int64_t panel) const {
    const int64_t* begin = hidden_begin_.data() + panel;
    return {hidden_.data() + begin[0], hidden_.data() + begin[1]};
  }

 private:
  void AddQuery(const SoftmaxArgs& args, const Range& block, int64_t query, Logit logit);
  void MarkExcluded(const SoftmaxArgs& args, const Range& block, int64_t query);
  void CollectHidden(const SoftmaxArgs& args, const Range& block, int64_t panels,
                     int64_t panel_width);

  std::vector<Positive> positives_;    // by query and column
  std::vector<int64_t> begin_;         // [queries + 1] into positives_
  std::vector<int64_t> rows_;          // by query and positive
  std::vector<Hidden> hidden_;         // by panel
  std::vector<int64_t> hidden_begin_;  // [panels + 1]
};

}  // namespace torii::kernels::cpu
