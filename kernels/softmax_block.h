// One block of rows of the softmax loss: its logits, exponentials, losses and gradients of q.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/softmax.h"

namespace torii::kernels {

// One thread's; keeps its memory from block to block.
class SoftmaxBlock {
 public:
  explicit SoftmaxBlock(const SoftmaxKernel& kernel) : kernel_(kernel) {}
  // Makes room for what the kernel has started.
  void Prepare();
  // Rows [begin, begin + rows): writes their q_grad and row_loss, and keeps what they do to v.
  void Compute(int64_t begin, int64_t rows);
  // Adds what the rows do to one panel of columns to its v_sums.
  void AddColumns(int64_t panel, float* v_sums) const;

 private:
  // An entry of a panel that its row does not see, or that is the row's positive.
  struct Hidden {
    int32_t row, column;
    bool positive;
  };
  void CollectHidden();
  std::span<const Hidden> HiddenOf(int64_t panel) const;
  void ComputeLogits(int64_t panel);
  void StartShifts();
  void RaiseShifts();
  bool ComputeExponentials(int64_t known);
  void FinishRow(int64_t r);
  float* Panel(int64_t p) const { return panels_.get() + p * panel_size_; }
  const SoftmaxKernelArgs& args() const { return kernel_.args_; }
  int64_t ColumnsOf(int64_t panel) const;

  const SoftmaxKernel& kernel_;
  int64_t begin_ = 0, rows_ = 0;
  int64_t panel_size_ = 0;  // block_rows * panel_width
  ScratchFloats panels_;    // [panels, block_rows, panel_width]: logits, then exponentials
  ScratchFloats by_row_;    // [block_rows, panel_width / 2]: exponentials in bfloat16
  ScratchFloats q_;         // [block_rows, words of dim]: packed for logits in base 2
  ScratchFloats q_sums_;    // [slab][block_rows, slab]: sums of exponentials times columns
  ScratchFloats scaled_q_;  // [slab][block_rows / terms, slab]: queries times weight / sum
  ScratchFloats lanes_;     // [block_rows, lanes]: row maxima, then row sums
  // [block_rows] each:
  std::vector<float> shift_;           // taken from the logits, base 2: not below the positive's
  std::vector<float> limit_;           // of the logits: shift and what exponentials may reach
  std::vector<float> scale_;           // weight / (tau * sum of exponentials)
  std::vector<float> slope_;           // weight / tau * (P - 1) of the positive
  std::vector<double> own_;            // logit of the positive, base 2
  std::vector<double> others_;         // sum of exponentials without the positive
  std::vector<Hidden> hidden_;         // by panel
  std::vector<int64_t> hidden_begin_;  // [panels + 1]
};

}  // namespace torii::kernels
