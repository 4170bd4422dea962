// What losses over per-row lists share: the scores of each row's own positive and negatives, with
// gradients.
#pragma once

#include <functional>

#include "ATen/core/Tensor.h"
#include "model/loss/loss.h"

namespace torii::model {

// Scores of B rows, divided by the temperature.
struct RowScores {
  at::Tensor positive;   // [B]
  at::Tensor negatives;  // [B, n]; 0 where there is none
  at::Tensor exists;     // [B, n] float32: 1 where there is a negative, else 0
};

// The loss sum_i weight_i * row_loss(scores)_i and its gradients. row_loss: from the scores to [B],
// differentiable. A step without rows gives zeros.
LossResult DifferentiateRows(const LossInput& input,
                             const std::function<at::Tensor(const RowScores&)>& row_loss);

// Tells the first row whose loss is not finite; empty if all are finite.
std::string ExplainRows(const LossInput& input,
                        const std::function<at::Tensor(const RowScores&)>& row_loss);

}  // namespace torii::model
