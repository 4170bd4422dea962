// The softmax kernels as they are compiled for each instruction set.
#pragma once

#include <vector>

#include "kernels/softmax_variant.h"

namespace torii::kernels {

// Those this machine can run, the best first. Never empty: without bfloat16 instructions the
// products are taken in float32 arithmetic, with the same roundings of the factors.
const std::vector<const SoftmaxVariant*>& RunnableSoftmaxVariants(SoftmaxPrecision precision);

}  // namespace torii::kernels
