// A step under way: its device may still compute it.
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "model/loss/loss.h"

namespace torii::trainer {

struct StepResult {
  double loss = 0;           // mean over the global batch, weighted: the same on all ranks
  double weight_sum = 0;     // over the global batch
  double gradient_norm = 0;  // of the dense weights, before clipping
  int64_t columns = 0;       // U
};

struct PendingStep {
  int64_t step = 0;
  at::Tensor loss, gradient_norm;  // [1] float64 on the device
  double weight_sum = 0;
  int64_t columns = 0;
  model::LossInput input;  // for a second look at a loss that is not finite
};

// The numbers of a step, once its device has them: waits for it. With check_finite: kDiverged if
// they are not finite (the step has then changed nothing). Local.
absl::StatusOr<StepResult> Collect(const PendingStep& pending, model::Loss& loss,
                                   bool check_finite);

}  // namespace torii::trainer
