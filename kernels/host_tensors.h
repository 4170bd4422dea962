// Lists of the host as tensors and back, by copying. Reading a tensor back waits for its device: it
// has its place in a plan, in tests and in logs, never inside the computation of a step.
#pragma once

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "kernels/device.h"

namespace torii::kernels {

// The name of a read in LibTorch's profiles: ListOf and NumberOf.
inline constexpr char kHostRead[] = "torii::host_read";

template <class T>
constexpr at::ScalarType kTypeOf = c10::CppTypeToScalarType<T>::value;

// A tensor of `shape` on the CPU with the values in row-major order.
template <class T>
at::Tensor TensorOf(std::span<const T> values, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, kTypeOf<T>);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<T>());
  return tensor;
}
// [n] on the CPU.
template <class T>
at::Tensor TensorOf(std::span<const T> values) {
  return TensorOf<T>(values, {std::ssize(values)});
}
template <class T>
at::Tensor TensorOf(const std::vector<T>& values) {
  return TensorOf(std::span<const T>(values));
}
// [n] on a device.
template <class T>
at::Tensor TensorOf(std::span<const T> values, const Device& device) {
  at::Tensor tensor = TensorOf(values);
  return device.torch().is_cpu() ? tensor : tensor.to(device.torch());
}

// A list as a tensor that looks at its memory, without a copy: valid while that memory is.
template <class T>
at::Tensor ViewOf(std::span<const T> values) {
  if (values.empty()) return at::empty({0}, kTypeOf<T>);
  return at::from_blob(const_cast<T*>(values.data()), {std::ssize(values)}, kTypeOf<T>);
}
template <class T>
at::Tensor ViewOf(const std::vector<T>& values) {
  return ViewOf(std::span<const T>(values));
}

// [rows, width], likewise.
template <class T>
at::Tensor ViewOf(std::span<const T> values, int64_t rows, int64_t width) {
  TORII_CHECK(std::ssize(values) == rows * width, values.size(), " values are not ", rows, " x ",
              width);
  return ViewOf(values).view({rows, width});
}

// The elements of a tensor of any device and shape, row by row.
template <class T>
std::vector<T> ListOf(const at::Tensor& tensor) {
  RECORD_FUNCTION(kHostRead, std::vector<c10::IValue>());
  const at::Tensor host = tensor.is_cpu() ? tensor.contiguous() : tensor.cpu().contiguous();
  const T* data = host.const_data_ptr<T>();
  return std::vector<T>(data, data + host.numel());
}

// The one element of a tensor of any floating type and device.
inline double NumberOf(const at::Tensor& tensor) {
  if (tensor.is_cpu() && tensor.scalar_type() == at::kDouble) {
    RECORD_FUNCTION(kHostRead, std::vector<c10::IValue>());
    return *tensor.const_data_ptr<double>();
  }
  return ListOf<double>(tensor.detach().to(at::kDouble))[0];
}

// A tensor [n] on the CPU that code fills in as a list.
template <class T>
class FilledTensor {
 public:
  explicit FilledTensor(int64_t n)
      : tensor_(at::empty({n}, kTypeOf<T>)),
        values_(tensor_.mutable_data_ptr<T>(), static_cast<size_t>(n)) {}
  std::span<T> values() { return values_; }
  at::Tensor take() { return std::move(tensor_); }

 private:
  at::Tensor tensor_;
  std::span<T> values_;
};

// A list of the host where the kernels of a device can read it.
template <class T>
class ListOnDevice {
 public:
  // Borrows `values`.
  ListOnDevice(std::span<const T> values, const Device& device) : data_(values.data()) {
    if (device.torch().is_cpu()) return;
    copy_ = TensorOf(values, device);
    data_ = copy_.template const_data_ptr<T>();
  }
  const T* data() const { return data_; }

 private:
  at::Tensor copy_;
  const T* data_;
};

}  // namespace torii::kernels
