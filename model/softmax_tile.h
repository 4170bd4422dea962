// The arithmetic of the softmax loss on a few rows at a time: scores, row maximum, exponentials and
// the three products, in buffers that are made once and used again.
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "base/split_evenly.h"
#include "model/softmax_loss.h"

namespace torii::model {

// A row whose loss is not a finite number.
struct BadRow {
  int64_t row = -1;  // -1: none
  double loss = 0;
  double own_logit = 0;      // q_i . v_p / tau + positive_offset
  double largest_logit = 0;  // over the columns that the row sees
};

// What a range of rows adds to the result.
struct SoftmaxPart {
  double loss = 0;    // sum of weight_i * l_i in the order of the rows
  at::Tensor v_grad;  // [U, D]; added to
  BadRow bad;         // the first one; nothing of its tile is added
};

// One thread's worker. T is the type of all floating tensors of the problem, which are contiguous
// and on the CPU, and which it borrows. Call it without autograd (c10::NoGradGuard).
template <typename T>
class SoftmaxTile {
 public:
  // Holds tile_rows x U scores.
  SoftmaxTile(const SoftmaxProblem& problem, int64_t tile_rows);
  // Rows [rows.begin, rows.end), at most tile_rows: writes their rows of q_grad [B, D], adds to
  // *part.
  void Run(Range rows, at::Tensor& q_grad, SoftmaxPart* part);

 private:
  // Sets the columns that a row does not see, and its own positive, to -inf: the positive is kept
  // apart.
  void HideColumns(Range rows, at::Tensor& scores);
  // The logit of row i's own positive, q_i . v_p / tau + positive_offset.
  double OwnLogit(int64_t row) const;
  // Finishes the rows once `others_` is known: losses, scale_, and the positive's entry of the
  // scores. False if a row is bad.
  bool FinishRows(Range rows, at::Tensor& scores, SoftmaxPart* part);

  const SoftmaxProblem& problem_;
  int64_t columns_, dim_;
  at::Tensor scores_;    // [tile_rows, U]: logits, then exponentials, then unscaled gradients
  at::Tensor maximum_;   // [tile_rows, 1]
  at::Tensor others_;    // [tile_rows, 1]: sum of exponentials without the positive
  at::Tensor scale_;     // [tile_rows, 1]: weight / (tau * sum of exponentials)
  at::Tensor scaled_q_;  // [tile_rows, D]
  std::vector<double> own_logit_;  // [tile_rows]
};

extern template class SoftmaxTile<float>;
extern template class SoftmaxTile<double>;

}  // namespace torii::model
