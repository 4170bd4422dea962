// The rules of optimizer_rules.h composed of LibTorch's operations, for tensors of any one shape.
#pragma once

#include "ATen/core/Tensor.h"
#include "kernels/device_kernels.h"

namespace torii::kernels {

// Changes weight and the state in place. gradient: decay has entered already.
void ComposedRule(const OptimizerStep& step, const at::Tensor& gradient, at::Tensor& weight,
                  at::Tensor& first, at::Tensor& second);

}  // namespace torii::kernels
