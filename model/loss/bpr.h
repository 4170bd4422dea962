// Bayesian personalised ranking (Rendle et al., UAI 2009): each row's positive against the row's
// own negatives.
#pragma once

#include <string>

#include "model/loss/loss.h"

namespace torii::model {

// Row loss: the mean over its negatives k of softplus(s_k - s_positive), with scores divided by the
// temperature; 0 for a row without negatives.
class BprLoss final : public Loss {
 public:
  explicit BprLoss(const BprConfig& config) : config_(config) {}
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
  const BprConfig config_;
};

}  // namespace torii::model
