// One block of queries of the softmax loss: their logits, exponentials, losses and gradients.
//
// A block is up to 64 queries, which stay in the first cache with one panel. A panel is up to
// panel_width columns of v. Compute() sweeps over the panels in order:
//   1. logits of the first panel, and the row maxima in it: the shifts;
//   2. for each panel: its logits less the shifts, their exponentials, their sums, and the sums of
//      exponentials times columns (q_grad before scaling); the exponentials are kept;
//   3. where a sum became too large: steps 1 and 2 again with the maxima over all panels;
//   4. for each query: its losses, and the scale of its gradients.
// AddColumns() then multiplies the kept exponentials of one panel with the scaled queries, which
// gives the block's part of v_grad.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/softmax/softmax.h"

namespace torii::kernels::cpu {

// One thread's; keeps its memory from block to block.
class SoftmaxBlock {
 public:
  explicit SoftmaxBlock(const SoftmaxKernel& kernel) : kernel_(kernel) {}
  // Makes room for what the kernel has started.
  void Prepare();
  // Queries [begin, begin + queries): writes their q_grad and the row_loss of their rows, and keeps
  // their exponentials for AddColumns.
  void Compute(int64_t begin, int64_t queries);
  // Adds the part of the queries in the gradient of one panel of columns to v_sums.
  void AddColumns(int64_t panel, float* v_sums) const;

 private:
  // A column that is the positive of some rows of a query. Its exponential is not in the sums of
  // the other columns, so that 1 - P is exact however close P is to 1.
  struct Positive {
    int32_t query = 0;  // of the block
    int64_t column = 0;
    int64_t first_row = 0, end_row = 0;  // indices into row_: the rows that have it
    bool excluded = false;               // for the query's other rows
    double dot = 0;                      // the logit without offset, base 2
    double exponential = 0;              // for the query's other rows
    double others = 0;                   // sum of exponentials of the other columns
    double weight = 0;                   // sum of weight / (tau * sum of exponentials) of its rows
    float slope = 0;                     // weight of column in the gradient of the query
  };
  // An entry of a panel that is not summed with the others: excluded, or a positive.
  struct Hidden {
    int32_t query, column;
    int64_t positive;  // index into positives_, -1: none
  };
  void CollectPositives();
  void AddPositives(int64_t query);
  void MarkExcluded(int64_t query);
  void CollectHidden();
  std::span<const Hidden> HiddenOf(int64_t panel) const;
  std::span<Positive> PositivesOf(int64_t query);
  void ComputeLogits(int64_t panel);
  void StartShifts();
  void RaiseShifts();
  bool ComputeExponentials(int64_t known);
  void FinishQuery(int64_t query);
  void SumOthers(int64_t query);
  void FinishRows(Positive& positive);
  float* Panel(int64_t p) const { return panels_.get() + p * panel_size_; }
  const SoftmaxArgs& args() const { return kernel_.args_; }
  int64_t ColumnsOf(int64_t panel) const;
  int64_t RowBegin(int64_t query) const {
    return args().row_begin != nullptr ? args().row_begin[query] : query;
  }

  const SoftmaxKernel& kernel_;
  int64_t begin_ = 0, queries_ = 0;
  int64_t panel_size_ = 0;  // block_rows * panel_width
  ScratchFloats panels_;    // [panels, block_rows, panel_width]: logits, then exponentials
  ScratchFloats by_row_;    // [block_rows, panel_width / 2]: exponentials in bfloat16
  ScratchFloats q_;         // [block_rows, words of dim]: packed for logits in base 2
  ScratchFloats q_sums_;    // [slab][block_rows, slab]: sums of exponentials times columns
  ScratchFloats scaled_q_;  // [slab][block_rows / terms, slab]: queries times weight / sum
  ScratchFloats lanes_;     // [block_rows, lanes]: row maxima, then row sums
  // [block_rows] each:
  std::vector<float> shift_;         // taken from the logits, base 2: not below the positives'
  std::vector<float> largest_;       // logit of the columns that were looked at
  std::vector<float> scale_;         // sum over the rows of weight / (tau * sum of exponentials)
  std::vector<double> unlabeled_;    // sum of exponentials without the positives
  std::vector<Positive> positives_;  // by query and column
  std::vector<int64_t> positive_begin_;  // [queries + 1]
  std::vector<int64_t> row_;             // the rows, by query and positive
  std::vector<Hidden> hidden_;           // by panel
  std::vector<int64_t> hidden_begin_;    // [panels + 1]
};

}  // namespace torii::kernels::cpu
