// Softmax cross-entropy over the candidate columns, corrected by log Q.
#pragma once

#include <string>

#include "model/loss/fused_softmax.h"
#include "model/loss/loss.h"

namespace torii::model {

class SoftmaxLoss final : public Loss {
 public:
  SoftmaxLoss(const SoftmaxConfig& config, const kernels::Device& device);
  LossNeeds needs() const final { return {.all_columns = true, .negatives_per_row = 0}; }
  int num_reductions() const final { return 0; }
  absl::StatusOr<Reduction> Partial(const LossInput& input,
                                    std::span<const at::Tensor> reduced) final;
  absl::StatusOr<LossResult> Finish(const LossInput& input,
                                    std::span<const at::Tensor> reduced) final;
  std::string Explain(const LossInput& input) final;
  std::string Description() const final;

 private:
  SoftmaxProblem ProblemOf(const LossInput& input) const;

  const SoftmaxConfig config_;
  FusedSoftmax fused_;
};

}  // namespace torii::model
