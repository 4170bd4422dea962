// Softmax cross-entropy over distinct candidate columns (sampled, in-batch or full softmax): value
// and both gradients through the fused kernels (kernels/softmax.h), never B x U floats at once.
#pragma once

#include <cstdint>
#include <string>

#include "ATen/core/Tensor.h"
#include "base/row_groups.h"
#include "kernels/softmax.h"

namespace torii::model {

// What each row and column adds to the scores. For row n of query i (rows may share a query), with
// z_ij = q_i . v_j / tau + column_offset_j, and for the row's own positive p
// z_ip = q_i . v_p / tau + positive_offset_n:
//   l_n = -(q_i . v_p / tau + target_offset_n) + log sum_{j not excluded for i} exp(z_ij).
// column_offset = log multiplicity - log E; -inf removes a column. Multiplicity, corrections and
// their consistent pairings: Yi et al. (RecSys 2019); a column of multiplicity m counts as m equal
// columns.
struct SoftmaxProblem {
  at::Tensor q;                // [R, D] float32
  at::Tensor v;                // [U, D] same dtype
  at::Tensor column_offset;    // [U] same dtype
  RowGroups rows;              // B rows over R queries
  at::Tensor positive;         // [B] int64 in [0, U)
  at::Tensor positive_offset;  // [B]
  at::Tensor target_offset;    // [B]
  at::Tensor weight;           // [B], >= 0: row weight already divided by the global sum of weights
  at::Tensor excluded_begin;  // [R + 1] int64 or undefined: columns that the rows of query i do not
  at::Tensor excluded;  //   see are excluded[excluded_begin[i] .. excluded_begin[i+1]); a row's own
                        //   positive is never removed
  double temperature = 1.0;
  kernels::Device device = kernels::Device::Cpu();  // where the tensors are
};

struct SoftmaxResult {
  at::Tensor value;   // [] float64: sum_n weight_n * l_n; not finite if one of them is not
  at::Tensor q_grad;  // [R, D]
  at::Tensor v_grad;  // [U, D]
};

// Keeps its memory, results included, from one problem to the next: O((R + U) D) + about 64 x U
// floats for each intra-op thread. Not for two threads at once.
class FusedSoftmax {
 public:
  explicit FusedSoftmax(kernels::SoftmaxPrecision precision = kernels::SoftmaxPrecision::kFloat32,
                        const kernels::Device& device = kernels::Device::Cpu());

  // Rows are divided over the intra-op threads; the bits of the result do not depend on their
  // number. B or U may be 0 (then loss 0 and zero gradients). CHECK-fails if shapes do not fit.
  SoftmaxResult Compute(const SoftmaxProblem& problem);
  // Computes again and tells the first row whose loss is not finite, with its logits; empty if all
  // are finite.
  std::string Explain(const SoftmaxProblem& problem);

  // "FLOAT32 products, avx512": precision and instruction set, for the log.
  std::string Description() const;

 private:
  kernels::SoftmaxPrecision precision_;
  kernels::Softmax softmax_;
  at::Tensor row_loss_;         // [B] float64
  at::Tensor q_grad_, v_grad_;  // used again once nobody else holds them
};

}  // namespace torii::model
