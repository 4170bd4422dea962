// One block of rows of the softmax loss: its logits, exponentials, losses and gradients of q.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/softmax.h"

namespace torii::kernels {

// One thread's; keeps its memory from block to block.
//
// Columns come in chunks whose logits stay in the second-level cache from the logits to the
// exponentials. These are taken relative to the largest logit that the row has met up to the end of
// the chunk (Milakov and Gimelshein 2018); when it rises, the sums so far are scaled down.
class SoftmaxBlock {
 public:
  explicit SoftmaxBlock(const SoftmaxKernel& kernel) : kernel_(kernel) {}
  // Makes room for what the kernel has started.
  void Prepare();
  // Rows [begin, begin + rows): writes their q_grad and row_loss, and keeps what they do to v.
  void Compute(int64_t begin, int64_t rows);
  // Adds what the rows do to one panel of columns to its v_sums. Panels in order.
  void AddColumns(int64_t panel, float* v_sums);

 private:
  // An entry of a panel that its row does not see, or that is the row's positive.
  struct Hidden {
    int32_t row, column;
    bool positive;
  };
  void CollectHidden();
  std::span<const Hidden> HiddenOf(int64_t panel) const;
  void ComputeOwnLogits();
  void ComputeLogits(int64_t first_panel, int64_t end_panel);
  void RaiseShifts(int64_t chunk);
  void ComputeExponentials(int64_t first_panel, int64_t end_panel);
  void FinishRow(int64_t r);
  void ScaleQueries(int64_t chunk);
  float* Panel(int64_t p) const { return logits_.get() + p * panel_size_; }
  float* ChunkShift(int64_t chunk) { return chunk_shift_.data() + chunk * kernel_.block_rows_; }
  const SoftmaxKernelArgs& args() const { return kernel_.args_; }
  int64_t ColumnsOf(int64_t panel) const;

  const SoftmaxKernel& kernel_;
  int64_t begin_ = 0, rows_ = 0;
  int64_t panel_size_ = 0;  // block_rows * panel_width
  int64_t chunk_panels_ = 0;
  ScratchFloats logits_;    // [panels, block_rows, panel_width]: then exponentials
  ScratchFloats by_row_;    // [block_rows, panel_width / 2]: exponentials in bfloat16
  ScratchFloats q_;         // [block_rows, words of dim]: packed for logits in base 2
  ScratchFloats q_sums_;    // [slab][block_rows, slab]: sums of exponentials times columns
  ScratchFloats scaled_q_;  // [slab][block_rows / terms, slab]: queries times weight / sum
  ScratchFloats lanes_;     // [block_rows, lanes]: maxima or sums of a chunk
  // [block_rows] each:
  std::vector<float> shift_;        // the largest logit so far, base 2
  std::vector<float> scale_;        // weight / (tau * sum of exponentials)
  std::vector<float> slope_;        // weight / tau * (P - 1) of the positive
  std::vector<float> q_scale_;      // of scaled_q_: scale_, for exponentials of the chunk's shift
  std::vector<double> own_;         // logit of the positive, base 2
  std::vector<double> others_;      // sum of exponentials without the positive
  std::vector<float> chunk_shift_;  // [chunks, block_rows]: shift_ at the end of each
  std::vector<Hidden> hidden_;      // by panel
  std::vector<int64_t> hidden_begin_;  // [panels + 1]
};

}  // namespace torii::kernels
