// Binary cross-entropy on sampled negatives: the row's positive has label 1, its own negatives have
// label 0.
#pragma once

#include <string>

#include "model/loss/loss.h"

namespace torii::model {

// Row loss: the mean over its positive and its negatives of softplus(-s) for the positive and
// softplus(s) for a negative, with scores divided by the temperature.
class BceLoss final : public Loss {
 public:
  explicit BceLoss(const BceConfig& config) : config_(config) {}
  LossNeeds needs() const final {
    return {.all_columns = false, .negatives_per_row = config_.negatives()};
  }
  int num_reductions() const final { return 0; }
  absl::StatusOr<Reduction> Partial(const LossInput& input,
                                    std::span<const at::Tensor> reduced) final;
  absl::StatusOr<LossResult> Finish(const LossInput& input,
                                    std::span<const at::Tensor> reduced) final;
  std::string Explain(const LossInput& input) final;
  std::string Description() const final;

 private:
  const BceConfig config_;
};

}  // namespace torii::model
