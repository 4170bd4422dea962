// Linear layers with ReLU between them, and the scaling of rows to length 1: one pass forward, one
// backward.
#pragma once

#include <vector>

#include "ATen/core/Tensor.h"
#include "kernels/linear_stack.h"

namespace torii::model {

using kernels::LinearWeights;

// x [n, in] -> [n, out]: the layers with ReLU after all but the last; no layers: x. With
// `normalize` each row is scaled to length 1. A row of zeros stays a row of zeros and gets no
// gradient: it has no direction, and a gradient times 1 / 1e-12 would wreck the weights before it.
// Row i of the result depends on row i of x alone. Differentiable (once) with respect to x and the
// weights, which may be used in several places. Uses the threads of at::parallel_for, and no
// result depends on their number.
at::Tensor LinearLayers(const at::Tensor& x, const std::vector<LinearWeights>& layers,
                        bool normalize, const kernels::Device& device);

// The same as a composition of LibTorch's operations, for any type and device: where the device has
// no kernels of its own.
at::Tensor ComposedLinearLayers(at::Tensor x, const std::vector<LinearWeights>& layers,
                                bool normalize);

}  // namespace torii::model
