// Lists of rows and columns as tensors.
#pragma once

#include <cstdint>
#include <span>

#include "ATen/core/Tensor.h"

namespace torii::sampler {

// [n] int64, a copy.
at::Tensor TensorOf(std::span<const int64_t> values);

}  // namespace torii::sampler
