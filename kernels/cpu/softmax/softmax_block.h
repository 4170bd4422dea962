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
#include <vector>

#include "base/split_evenly.h"
#include "kernels/cpu/softmax/block_positives.h"
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
  using Positive = BlockPositives::Positive;
  void ComputeLogits(int64_t panel);
  void StartShifts();
  void RaiseShifts();
  bool ComputeExponentials(int64_t known);
  void FinishQuery(int64_t query);
  void SumOthers(int64_t query);
  void FinishRows(Positive& positive);
  float* Panel(int64_t p) const {
    return panels_.get() + p * kernel_.block_rows_ * kernel_.kernels_.panel_width;
  }
  const SoftmaxArgs& args() const { return kernel_.args_; }
  int64_t ColumnsOf(int64_t panel) const;

  const SoftmaxKernel& kernel_;
  Range block_;               // its queries
  BlockPositives positives_;  // of their rows
  ScratchFloats panels_;      // [panels, block_rows, panel_width]: logits, then exponentials
  ScratchFloats by_row_;      // [block_rows, panel_width / 2]: exponentials in bfloat16
  ScratchFloats q_;           // [block_rows, words of dim]: packed for logits in base 2
  ScratchFloats q_sums_;      // [slab][block_rows, slab]: sums of exponentials times columns
  ScratchFloats scaled_q_;    // [slab][block_rows / terms, slab]: queries times weight / sum
  ScratchFloats lanes_;       // [block_rows, lanes]: row maxima, then row sums
  // [block_rows] each:
  std::vector<float> shift_;       // taken from the logits, base 2: not below the positives'
  std::vector<float> scale_;       // sum over the rows of weight / (tau * sum of exponentials)
  std::vector<double> unlabeled_;  // sum of exponentials without the positives
};

}  // namespace torii::kernels::cpu
