// How well an item fits a query: a number from two vectors. The loss, evaluation, recommendation
// and export of a model share one scorer.
#pragma once

#include "ATen/core/Tensor.h"

namespace torii::model {

class Scorer {
 public:
  virtual ~Scorer() = default;

  // The score is inverse_temperature() * q . v: fused kernels and indices for inner products serve
  // it.
  virtual bool is_inner_product() const = 0;
  // 1 / tau, the factor that Scores and PairScores have in them. Rankings may leave it out.
  virtual double inverse_temperature() const = 0;

  // All pairs: q [R, D], v [U, D] float32 -> [R, U]. Score (i, j) depends on row i of q and row j
  // of v alone; unless it is an inner product, bit for bit. Differentiable with respect to q, v and
  // the weights; backward needs O(R U) memory, not R U times the width of a layer.
  virtual at::Tensor Scores(const at::Tensor& q, const at::Tensor& v) const = 0;
  // The rows pair by pair: q [n, D], v [n, D] -> [n]. Differentiable likewise.
  virtual at::Tensor PairScores(const at::Tensor& q, const at::Tensor& v) const = 0;

  // For losses whose fused kernels bypass Scores (is_inner_product): from q [R, D] and d loss / dq
  // [R, D] follows the gradient of a learned temperature, which is added to that of the weights.
  virtual void AddTemperatureGradient(const at::Tensor& q, const at::Tensor& q_grad) const = 0;
};

}  // namespace torii::model
