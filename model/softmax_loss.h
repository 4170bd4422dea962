// Softmax cross-entropy over distinct candidate columns (sampled, in-batch or full softmax): value
// and both gradients through the fused kernels (kernels/softmax.h), never B x U floats at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "kernels/cpu/softmax/softmax.h"
#include "model/model.pb.h"

namespace torii::model {

// What each row and column adds to the scores. Rows may share a query vector: row n is of query i
// if row_begin[i] <= n < row_begin[i + 1]. With z_ij = q_i . v_j / tau + column_offset_j, and for
// the row's own positive p: z_ip = q_i . v_p / tau + positive_offset_n,
//   l_n = -(q_i . v_p / tau + target_offset_n) + log sum_{j not excluded for i} exp(z_ij).
// column_offset = log multiplicity - log E; -inf removes a column. Multiplicity, corrections and
// their consistent pairings: Yi et al. (RecSys 2019); a column of multiplicity m counts as m equal
// columns.
struct SoftmaxProblem {
  at::Tensor q;                // [R, D] float32, on the CPU
  at::Tensor v;                // [U, D] same dtype
  at::Tensor column_offset;    // [U] same dtype
  at::Tensor row_begin;        // [R + 1] int64; undefined: query i has row i alone, R = B
  at::Tensor positive;         // [B] int64 in [0, U)
  at::Tensor positive_offset;  // [B]
  at::Tensor target_offset;    // [B]
  at::Tensor weight;           // [B], >= 0: row weight already divided by the global sum of weights
  at::Tensor excluded_begin;  // [R + 1] int64 or undefined: columns that the rows of query i do not
  at::Tensor excluded;  //   see are excluded[excluded_begin[i] .. excluded_begin[i+1]); a row's own
                        //   positive is never removed
  double temperature = 1.0;
};

struct SoftmaxResult {
  double loss = 0;    // sum_n weight_n * l_n
  at::Tensor q_grad;  // [R, D]
  at::Tensor v_grad;  // [U, D]
};

// Keeps its memory, results included, from one problem to the next: O((R + U) D) + about 64 x U
// floats for each intra-op thread. Not for two threads at once.
class SoftmaxLoss {
 public:
  explicit SoftmaxLoss(ModelConfig::LossPrecision precision = ModelConfig::FLOAT32);

  // Rows are divided over the intra-op threads; the bits of the result do not depend on their
  // number. B or U may be 0 (then loss 0 and zero gradients). Errors: kDiverged naming the first
  // row whose loss is not finite.
  absl::StatusOr<SoftmaxResult> Compute(const SoftmaxProblem& problem);

  // Precision and instruction set, for the log.
  std::string Description() const;

 private:
  ModelConfig::LossPrecision precision_;
  kernels::cpu::SoftmaxKernel kernel_;
  std::vector<double> row_loss_;
  at::Tensor q_grad_, v_grad_;  // used again once nobody else holds them
};

}  // namespace torii::model
