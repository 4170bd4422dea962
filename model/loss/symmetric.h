// The symmetric contrastive loss (CLIP, Radford et al., 2021): half the softmax over columns for
// each row, half the softmax over the rows of all ranks for each row's item.
#pragma once

#include <string>
#include <vector>

#include "model/loss/loss.h"
#include "model/loss/softmax.h"

namespace torii::model {

// Row loss: (l_n + k_n) / 2 with l_n of SoftmaxLoss and, for the row's own item p and scores s
// divided by the temperature,
//   k_n = -s_np + log(exp(s_np) + sum over rows m != n of all ranks that p is visible to,
//   exp(s_mp)).
// Pairing A: p is not visible to other rows with the same item, which would be further positives of
// it. Pairs that are excluded in the first half are excluded in the second half too. The columns of
// a step have to be the same on all ranks. Three tensors [U] are reduced, with for each column: its
// greatest score; the sum of its exponentials; the sum, over the rows whose item it is, of weight /
// denominator.
class SymmetricLoss final : public Loss {
 public:
  SymmetricLoss(const SymmetricConfig& config, const kernels::Device& device);
  LossNeeds needs() const final { return {.same_columns = true, .inner_product = true}; }
  int num_reductions() const final { return 3; }
  absl::StatusOr<Reduction> Partial(const LossInput& input,
                                    std::span<const at::Tensor> reduced) final;
  absl::StatusOr<LossResult> Finish(const LossInput& input,
                                    std::span<const at::Tensor> reduced) final;
  std::string Explain(const LossInput& input) final;
  std::string Description() const final;

 private:
  const SymmetricConfig config_;
  SoftmaxLoss over_columns_;
};

}  // namespace torii::model
