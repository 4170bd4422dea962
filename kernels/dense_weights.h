// One step of an optimizer over flat dense weights, and the length of their gradient.
#pragma once

#include "ATen/core/Tensor.h"
#include "kernels/device.h"
#include "kernels/optimizer_step.h"

namespace torii::kernels {

// All [P] float32 and contiguous on the device.
struct WeightTensors {
  at::Tensor weight, gradient;
  at::Tensor decays;         // 1 where decay applies, else 0
  at::Tensor first, second;  // state of the rule: momentum or Adam's m; Adagrad's h or Adam's v
  at::Tensor gate = {};      // update_gate.h
};

// Updates weights and state once. Rules: all but row-wise Adagrad.
void UpdateWeights(const Device& device, const OptimizerStep& step, const WeightTensors& weights);

// [1] float64: the length of `gradient`, which is then scaled to length `most` where it is longer
// (0: any length is allowed).
at::Tensor ClipGradient(const Device& device, at::Tensor gradient, double most);

}  // namespace torii::kernels
