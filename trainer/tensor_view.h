// Tensors that look at the memory of vectors and spans, without a copy: valid while that memory is.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ATen/core/Tensor.h"

namespace torii::trainer {

at::Tensor ViewOf(std::span<const int64_t> values);  // [n] int64
at::Tensor ViewOf(std::span<const float> values, int64_t rows,
                  int64_t width);                                 // [rows, width] float32
std::span<const int64_t> SpanOf(const at::Tensor& int64_tensor);  // contiguous, [n]

}  // namespace torii::trainer
