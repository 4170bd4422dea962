// What the loss tests share: random problems, and the loss written out over the whole matrix in
// float64 with autograd.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "model/loss/fused_softmax.h"

namespace torii::model {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// Value and gradients of a loss, on the host.
struct SoftmaxAnswer {
  SoftmaxAnswer(double value, at::Tensor of_q, at::Tensor of_v)
      : loss(value), q_grad(std::move(of_q)), v_grad(std::move(of_v)) {}
  SoftmaxAnswer(const SoftmaxResult& result)
      : SoftmaxAnswer(result.value.item<double>(), result.q_grad, result.v_grad) {}
  double loss;
  at::Tensor q_grad, v_grad;
};

inline at::Tensor Doubles(const std::vector<double>& x) { return at::tensor(x, at::kDouble); }
inline at::Tensor Ints(const std::vector<int64_t>& x) { return at::tensor(x, at::kLong); }

// A problem in float64 without offsets and exclusions, weights 1 / B.
inline SoftmaxProblem PlainProblem(const at::Tensor& q, const at::Tensor& v,
                                   const std::vector<int64_t>& positive, double temperature) {
  const int64_t rows = q.size(0);
  SoftmaxProblem p;
  p.q = q;
  p.v = v;
  p.column_offset = at::zeros({v.size(0)}, q.options());
  p.rows = RowGroups::OneEach(std::ssize(positive));
  p.positive = Ints(positive);
  p.positive_offset = at::zeros({rows}, q.options());
  p.target_offset = at::zeros({rows}, q.options());
  p.weight = at::full({rows}, rows ? 1.0 / static_cast<double>(rows) : 1.0, q.options());
  p.temperature = temperature;
  return p;
}

inline at::Tensor RandomNormal(std::mt19937_64& random, int64_t rows, int64_t columns) {
  std::normal_distribution<double> normal;
  at::Tensor out = at::empty({rows, columns}, at::kDouble);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<double>()[i] = normal(random);
  return out;
}

inline SoftmaxProblem ToFloat(SoftmaxProblem p) {
  for (at::Tensor* t :
       {&p.q, &p.v, &p.column_offset, &p.positive_offset, &p.target_offset, &p.weight}) {
    *t = t->to(at::kFloat);
  }
  return p;
}

// The loss of the product, in float32.
inline SoftmaxAnswer Solve(const SoftmaxProblem& p) { return FusedSoftmax().Compute(ToFloat(p)); }

// The value and both gradients by autograd over the B x U matrix.
inline SoftmaxAnswer Reference(const SoftmaxProblem& p) {
  const c10::AutoGradMode grad(true);
  const int64_t rows = p.q.size(0), columns = p.v.size(0);
  at::Tensor q = p.q.to(at::kDouble).detach().clone().requires_grad_();
  at::Tensor v = p.v.to(at::kDouble).detach().clone().requires_grad_();
  if (rows == 0 || columns == 0) return {0, at::zeros_like(q), at::zeros_like(v)};
  const at::Tensor own = at::arange(columns).unsqueeze(0) == p.positive.unsqueeze(1);
  at::Tensor hidden = at::zeros({rows, columns}, at::kBool);
  for (int64_t i = 0; p.excluded_begin.defined() && i < rows; ++i) {
    for (int64_t e = p.excluded_begin[i].item<int64_t>();
         e < p.excluded_begin[i + 1].item<int64_t>(); ++e) {
      hidden[i][p.excluded[e].item<int64_t>()] = true;
    }
  }
  const at::Tensor raw = at::matmul(q, v.t()) / p.temperature;
  const at::Tensor offset = at::where(own, p.positive_offset.to(at::kDouble).unsqueeze(1),
                                      p.column_offset.to(at::kDouble).unsqueeze(0));
  const at::Tensor z = at::where(at::logical_and(hidden, own.logical_not()),
                                 at::full({}, kMinusInfinity, at::kDouble), raw + offset);
  const at::Tensor target =
      raw.gather(1, p.positive.unsqueeze(1)).squeeze(1) + p.target_offset.to(at::kDouble);
  const at::Tensor loss = (p.weight.to(at::kDouble) * (at::logsumexp(z, {1}) - target)).sum();
  loss.backward();
  return {loss.item<double>(), q.grad(), v.grad()};
}

// The largest difference, divided by the largest magnitude of `expected` (at least `floor`).
inline double RelativeError(const at::Tensor& actual, const at::Tensor& expected,
                            double floor = 1e-12) {
  if (expected.numel() == 0) return actual.numel() == 0 ? 0 : 1;
  const double scale = std::max(expected.abs().max().item<double>(), floor);
  return (actual.to(at::kDouble) - expected).abs().max().item<double>() / scale;
}

}  // namespace torii::model
