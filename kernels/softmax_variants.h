// The softmax kernels as they are compiled for each instruction set.
#pragma once

#include <vector>

#include "kernels/softmax_variant.h"

namespace torii::kernels {

// Those this machine can run, the best first. Never empty.
const std::vector<const SoftmaxVariant*>& RunnableSoftmaxVariants();

}  // namespace torii::kernels
