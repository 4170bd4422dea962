// How far a weight after one optimizer step may lie from its value on another number of ranks,
// where both began with the same weights and optimizer state. docs/numerics.md has the derivation.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "tests/support/train_run.h"

namespace torii::testing {

// A weight changes by u = lr p / (s + epsilon), where p and s have slopes of at most `p_slope` and
// `s_slope` in the gradient; without a divisor (SGD) s + epsilon is 1.
struct UpdateRule {
  enum Kind { kSgd, kAdagrad, kRowwiseAdagrad, kAdam };
  Kind kind = kSgd;
  double learning_rate = 0, epsilon = 0, beta1 = 0, beta2 = 0;
};

// The state of one weight tensor before or after a step, in float64: [rows, dim] or [n], `first`
// and `second` as the rule has them (Adagrad: `second` the sums, row-wise [rows, 1]).
struct WeightState {
  at::Tensor weight, first, second;
};

struct StepBounds {
  at::Tensor weight, first, second;  // of the absolute difference
  double gradient = 0;               // largest of the tensor
};

constexpr double kFloat32Rounding = 0x1p-24;

// `noise`: what rounding may change a gradient by, as a part of the tensor's largest gradient.
inline StepBounds BoundsOfStep(const UpdateRule& rule, const WeightState& before,
                               const WeightState& after, int64_t step, double noise) {
  const auto rounding = [](const at::Tensor& a, const at::Tensor& b) {
    return (a.abs() + b.abs()) * (8 * kFloat32Rounding);
  };
  const auto t = static_cast<double>(step + 1);
  const double width = before.weight.dim() == 2 ? static_cast<double>(before.weight.size(1)) : 1;
  const at::Tensor update = (after.weight - before.weight).abs() / rule.learning_rate;  // |u| / lr
  StepBounds bounds;
  double p_slope = 1, s_slope = 0;
  at::Tensor gradient = update, s = at::ones_like(update);
  if (rule.kind == UpdateRule::kAdagrad || rule.kind == UpdateRule::kRowwiseAdagrad) {
    // Row-wise: the root of the mean square, at most the largest; no element is above width^0.5
    // times it.
    gradient = (after.second - before.second).clamp_min(0).sqrt();
    s = after.second.sqrt();
    s_slope = 1;
  } else if (rule.kind == UpdateRule::kAdam) {
    gradient = (after.first - before.first * rule.beta1).abs() / (1 - rule.beta1);
    const double correction2 = 1 - std::pow(rule.beta2, t);
    s = (after.second / correction2).sqrt();
    p_slope = (1 - rule.beta1) / (1 - std::pow(rule.beta1, t));
    s_slope = std::sqrt((1 - rule.beta2) / correction2);
  }
  bounds.gradient = gradient.max().item<double>();
  if (rule.kind == UpdateRule::kRowwiseAdagrad) bounds.gradient *= std::sqrt(width);
  const double delta = noise * bounds.gradient;

  const at::Tensor divisor =
      rule.kind == UpdateRule::kSgd ? s : (s - s_slope * delta).clamp_min(0) + rule.epsilon;
  bounds.weight = rule.learning_rate * delta * (p_slope + s_slope * update) / divisor +
                  rounding(before.weight, after.weight) +
                  16 * kFloat32Rounding * rule.learning_rate * update;
  const at::Tensor square = (2 * gradient + delta) * delta;  // of the change of a gradient's square
  if (rule.kind == UpdateRule::kAdam) {
    bounds.first = (1 - rule.beta1) * delta + rounding(before.first, after.first);
    bounds.second = (1 - rule.beta2) * square + rounding(before.second, after.second);
  } else if (rule.kind != UpdateRule::kSgd) {
    bounds.second = square + rounding(before.second, after.second);
  }
  return bounds;
}

}  // namespace torii::testing
