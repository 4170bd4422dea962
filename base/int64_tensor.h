// Lists of numbers as tensors and back, by copying. Only for layers that link LibTorch.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace torii {

// A tensor of `shape` with the values in row-major order.
template <typename T>
at::Tensor TensorOf(std::span<const T> values, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, c10::CppTypeToScalarType<T>::value);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<T>());
  return tensor;
}

// [n]
inline at::Tensor TensorOf(std::span<const int64_t> values) {
  return TensorOf<int64_t>(values, {std::ssize(values)});
}

// The elements of a contiguous tensor.
inline std::vector<int64_t> VectorOf(const at::Tensor& tensor) {
  const int64_t* data = tensor.const_data_ptr<int64_t>();
  return {data, data + tensor.numel()};
}

}  // namespace torii
