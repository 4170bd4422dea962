#include "kernels/dense_weights.h"

#include <ATen/ATen.h>

#include <utility>

#include "base/check.h"
#include "kernels/composed_optimizer.h"
#include "kernels/on_device.h"
#include "kernels/update_gate.h"

namespace torii::kernels {
namespace {

void CheckFlat(const at::Tensor& x, int64_t size) {
  TORII_CHECK(x.numel() == size && x.scalar_type() == at::kFloat && x.is_contiguous(),
              "flat weights: ", x.toString(), " of ", x.numel(), " elements, expected ", size);
}

void ComposedUpdate(const OptimizerStep& step, const WeightTensors& weights) {
  at::Tensor weight = weights.weight.clone(), first, second;
  if (weights.first.defined()) first = weights.first.clone();
  if (weights.second.defined()) second = weights.second.clone();
  const at::Tensor gradient =
      weights.gradient + weights.decays * weight * static_cast<double>(step.l2);
  weight.sub_(weights.decays * weight * static_cast<double>(step.shrink));
  ComposedRule(step, gradient, weight, first, second);
  const std::pair<at::Tensor, at::Tensor> changed[] = {
      {weights.weight, weight}, {weights.first, first}, {weights.second, second}};
  for (const auto& [was, now] : changed) {
    if (was.defined()) was.copy_(Gated(weights.gate, now, was));
  }
}

}  // namespace

void UpdateWeights(const Device& device, const OptimizerStep& step, const WeightTensors& weights) {
  const int64_t size = weights.weight.numel();
  CheckOnDevice(device, "UpdateWeights", weights.weight, weights.gradient, weights.decays,
                weights.first, weights.second, weights.gate);
  for (const at::Tensor* x : {&weights.gradient, &weights.decays}) CheckFlat(*x, size);
  CheckFlat(weights.weight, size);
  at::Tensor weight = weights.weight, first = weights.first, second = weights.second;
  if (device.kernels().update_weights == nullptr) return ComposedUpdate(step, weights);
  device.kernels().update_weights(
      {.step = step,
       .size = size,
       .weight = weight.mutable_data_ptr<float>(),
       .gradient = weights.gradient.const_data_ptr<float>(),
       .decays = weights.decays.const_data_ptr<float>(),
       .first = first.defined() ? first.mutable_data_ptr<float>() : nullptr,
       .second = second.defined() ? second.mutable_data_ptr<float>() : nullptr,
       .gate = FlagOf(weights.gate)});
}

at::Tensor ClipGradient(const Device& device, at::Tensor gradient, double most) {
  CheckFlat(gradient, gradient.numel());
  CheckOnDevice(device, "ClipGradient", gradient);
  if (device.kernels().clip_gradient == nullptr) {
    const at::Tensor norm = gradient.to(at::kDouble).norm().view({1});
    if (most > 0) {
      gradient.mul_(at::where(norm > most, most / norm, 1.0).to(at::kFloat));
    }
    return norm;
  }
  at::Tensor norm = at::empty({1}, gradient.options().dtype(at::kDouble));
  device.kernels().clip_gradient({.gradient = gradient.mutable_data_ptr<float>(),
                                  .size = gradient.numel(),
                                  .most = most,
                                  .norm = norm.mutable_data_ptr<double>()});
  return norm;
}

}  // namespace torii::kernels
