// How well an item fits a query: a number from two vectors. The loss, evaluation, recommendation
// and export of a model share one scorer.
#pragma once

#include "ATen/core/Tensor.h"

namespace torii::model {

class Scorer {
 public:
  virtual ~Scorer() = default;

  // Whether the score is q . v / temperature(), so that fused kernels and indices for inner
  // products can serve it.
  virtual bool is_inner_product() const = 0;
  // tau, by which Scores and PairScores are divided; 1 if there is none. Rankings may leave it out.
  // May have to read it from a device: for logs and exports.
  virtual double temperature() const = 0;

  // All pairs: q [R, D], v [U, D] float32 -> [R, U]. Score (i, j) depends on row i of q and row j
  // of v alone; unless it is an inner product, bit for bit. Differentiable with respect to q, v and
  // the weights; backward needs O(R U) memory, not R U times the width of a layer.
  virtual at::Tensor Scores(const at::Tensor& q, const at::Tensor& v) const = 0;
  // The rows pair by pair: q [n, D], v [n, D] -> [n]. Differentiable likewise.
  virtual at::Tensor PairScores(const at::Tensor& q, const at::Tensor& v) const = 0;

  // For losses, whose fused kernels do not call Scores. A loss gets the queries that ScaleQueries
  // makes of q [R, D] (q itself unless the temperature is learned). It computes an inner product as
  // q . v / divisor(), and any other score with Scores and PairScores.
  virtual at::Tensor ScaleQueries(const at::Tensor& q) const = 0;
  virtual double divisor() const = 0;
  // The gradient of q from that of the scaled queries. Adds the gradient of a learned temperature
  // to that of the weights: once for each loss.
  virtual at::Tensor QueryGradient(const at::Tensor& scaled, const at::Tensor& gradient) const = 0;
};

}  // namespace torii::model
