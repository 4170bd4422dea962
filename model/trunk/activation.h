#pragma once

#include "ATen/core/Tensor.h"
#include "model/trunk/trunk.pb.h"

namespace torii::model {

// Element by element. LEAKY_RELU has slope 0.01 below 0.
at::Tensor Activate(const at::Tensor& x, Activation activation);

}  // namespace torii::model
