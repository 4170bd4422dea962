// The softmax cross-entropy over distinct candidate columns with both gradients, fused: logits live
// in panels that stay in the cache, and no B x U matrix exists. Starts no threads; the caller gives
// each of its threads a SoftmaxWorker and a range of rows:
//
//   const SoftmaxColumns columns(args);                     // shared
//   each thread k:  workers[k] = SoftmaxWorker(args, columns); workers[k].Run(begin_k, end_k);
//   then:           for k in order: workers[k].AddVGrad(0, args.u, v_grad);   // or in parts of the
//   columns
//
// Losses and q_grad do not depend on how the rows are divided; v_grad does in its roundings.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/aligned_floats.h"
#include "kernels/softmax_variant.h"

namespace torii::kernels {

// With z_ij = q_i . v_j / tau + column_offset_j, and for the positive p of row i
// z_ip = q_i . v_p / tau + positive_offset_i,
//   l_i = -(q_i . v_p / tau + target_offset_i) + log sum_{j not excluded for i} exp(z_ij).
// A column_offset of -inf removes a column; excluded columns of row i are
// excluded[excluded_begin[i] .. excluded_begin[i + 1]), its positive is never removed.
struct SoftmaxKernelArgs {
  const float* q = nullptr;                 // [b, dim]
  const float* v = nullptr;                 // [u, dim]
  const float* column_offset = nullptr;     // [u]
  const int64_t* positive = nullptr;        // [b] in [0, u)
  const float* positive_offset = nullptr;   // [b]
  const float* target_offset = nullptr;     // [b]
  const float* weight = nullptr;            // [b]
  const int64_t* excluded_begin = nullptr;  // [b + 1] or null: nothing is excluded
  const int64_t* excluded = nullptr;
  int64_t b = 0, u = 0, dim = 0;
  double inverse_temperature = 1;
  float* q_grad = nullptr;     // [b, dim]: gradient of sum_i weight_i l_i
  double* row_loss = nullptr;  // [b]: l_i; not finite if the row diverged
};

// The columns arranged for the kernels. Read-only once made.
class SoftmaxColumns {
 public:
  // `variant`: null for the best one of this machine.
  explicit SoftmaxColumns(const SoftmaxKernelArgs& args, const SoftmaxVariant* variant = nullptr);

 private:
  friend class SoftmaxWorker;
  const SoftmaxVariant& kernels_;
  int64_t panels_;             // of panel_width columns; missing ones have offset -inf
  int64_t padded_dim_;         // whole vectors
  AlignedFloats panels_of_v_;  // [panels, dim, panel_width], for the logits
  AlignedFloats slabs_of_v_;   // [slabs, panels * panel_width, slab], for the gradient of q
  AlignedFloats offset_;       // [panels * panel_width], for logits in base 2
};

// One thread's part. Memory: about 72 x U floats of logits and U x D of its gradient of v.
class SoftmaxWorker {
 public:
  // Borrows both; they must outlive it.
  SoftmaxWorker(const SoftmaxKernelArgs& args, const SoftmaxColumns& columns);
  // Rows [begin, end): writes their q_grad and row_loss, keeps what they add to the gradient of v.
  // May be called more than once.
  void Run(int64_t begin, int64_t end);
  // Adds the gradients of the columns [begin, end) to v_grad [u, dim].
  void AddVGrad(int64_t begin, int64_t end, float* v_grad) const;

 private:
  // An entry of a panel that its row does not see.
  struct Hidden {
    int32_t row, column;
  };
  void RunBlock(int64_t begin, int64_t rows);
  void InterleaveQueries(int64_t begin, int64_t rows);
  void CollectHidden(int64_t begin, int64_t rows);
  void ComputeLogits(int64_t rows, int64_t padded_rows);
  void ComputeExponentials(int64_t rows, int64_t padded_rows);
  void FinishRow(int64_t row, int64_t r);
  double OwnLogit(int64_t row) const;
  float* Panel(int64_t p) { return logits_.get() + p * block_rows_ * kernels_.panel_width; }
  int64_t SlabWidth(int64_t slab) const;
  int64_t SlabStart(int64_t slab, int64_t rows) const { return slab * kernels_.slab_width * rows; }

  const SoftmaxKernelArgs& args_;
  const SoftmaxColumns& columns_;
  const SoftmaxVariant& kernels_;
  int64_t block_rows_;  // rows handled at a time, in whole granules
  int64_t slabs_;
  AlignedFloats q_;         // [tiles, dim, tile_rows]: queries scaled for logits in base 2
  AlignedFloats scaled_q_;  // [slabs, block_rows, slab]: queries times the scale of their row
  AlignedFloats
      logits_;  // [panels, block_rows, panel_width]: logits, exponentials, gradients / scale
  AlignedFloats q_sums_;        // [slabs, block_rows, slab]: sums of exponentials times columns
  AlignedFloats v_sums_;        // [slabs, panels * panel_width, slab]: this thread's gradient of v
  AlignedFloats lanes_;         // [block_rows, lanes]: row maxima, then row sums
  std::vector<float> shift_;    // [block_rows]
  std::vector<double> own_;     // [block_rows]: logit of the positive, base 2
  std::vector<double> others_;  // [block_rows]: sum of exponentials without the positive
  std::vector<Hidden> hidden_;  // by panel
  std::vector<int64_t> hidden_begin_;  // [panels + 1]
};

}  // namespace torii::kernels
