// Lists of int64 as tensors and back, by copying. Only for layers that link LibTorch.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace torii {

// [n]
inline at::Tensor TensorOf(std::span<const int64_t> values) {
  at::Tensor tensor = at::empty({std::ssize(values)}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<int64_t>());
  return tensor;
}

// The elements of a contiguous tensor.
inline std::vector<int64_t> VectorOf(const at::Tensor& tensor) {
  const int64_t* data = tensor.const_data_ptr<int64_t>();
  return {data, data + tensor.numel()};
}

}  // namespace torii
