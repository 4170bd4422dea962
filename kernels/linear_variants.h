// The kernels of linear layers as they are compiled for each instruction set.
#pragma once

#include <vector>

#include "kernels/linear_variant.h"

namespace torii::kernels {

// Those this machine can run, the best first. Never empty.
const std::vector<const LinearVariant*>& RunnableLinearVariants();

}  // namespace torii::kernels
