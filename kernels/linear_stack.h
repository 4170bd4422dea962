// A stack of linear layers on tensors, forward and backward, by the kernels of a device. Row i of
// the result depends on row i of x alone, bit for bit.
#pragma once

#include <span>
#include <vector>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::kernels {

struct LinearWeights {
  at::Tensor weight, bias;  // [out, in], [out] float32, contiguous
};

// False: the device has no such kernels, and the functions below may not be called.
bool HasLinearStack(const Device& device);

// y = W_L relu(... relu(W_1 x + b_1) ...) + b_L, each row of it scaled to length 1 if `normalize`
// (device_kernels.h). No gradient is recorded.
struct LinearResult {
  at::Tensor y;     // [n, out]
  at::Tensor kept;  // what the way back needs; undefined unless asked for
};
LinearResult LinearStackForward(const Device& device, const at::Tensor& x,
                                std::span<const LinearWeights> layers, bool normalize, bool keep);

// The gradients of x, undefined unless wanted, then of each layer's weight and bias in turn.
struct LinearWayBack {
  const at::Tensor& x;          // [n, in], as given to the forward pass
  const LinearResult& forward;  // its result, with `kept`
  const at::Tensor& y_grad;     // [n, out]
  bool wants_x_grad = true;
};
std::vector<at::Tensor> LinearStackBackward(const Device& device, const LinearWayBack& pass,
                                            std::span<const LinearWeights> layers, bool normalize);

}  // namespace torii::kernels
