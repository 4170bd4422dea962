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
#include "kernels/uploads.h"

namespace torii::kernels {

// The name of a read in LibTorch's profiles: ListOf and NumberOf.
inline constexpr char kHostRead[] = "torii::host_read";

template <class T>
constexpr at::ScalarType kTypeOf = c10::CppTypeToScalarType<T>::value;

// A tensor of `shape` on the host, not initialised. OnDevice copies it at once: its memory is pinned.
template <class T>
at::Tensor HostTensor(at::IntArrayRef shape, const Device& device) {
  if (Uploads* const uploads = Uploads::Current(); uploads != nullptr && !device.is_host()) {
    at::Tensor part = uploads->HostTensor(shape, kTypeOf<T>);
    if (part.defined()) return part;
  }
  return at::empty(shape,
                   at::TensorOptions(at::kCPU).dtype(kTypeOf<T>).pinned_memory(!device.is_host()));
}

// A tensor of the host on a device: on a CPU the tensor itself, elsewhere a copy, for which the host
// does not wait, or a part of the copy that Uploads will make. Undefined stays undefined.
inline at::Tensor OnDevice(const at::Tensor& host, const Device& device) {
  if (device.is_host() || !host.defined()) return host;
  if (Uploads* const uploads = Uploads::Current()) {
    at::Tensor part = uploads->OnDevice(host);
    if (part.defined()) return part;
  }
  return host.pin_memory().to(host.options().device(device.torch()).pinned_memory(false),
                              /*non_blocking=*/true);
}

// A tensor of `shape` with the values in row-major order, on the CPU or a device.
template <class T>
at::Tensor TensorOf(std::span<const T> values, at::IntArrayRef shape,
                    const Device& device = Device::Cpu()) {
  at::Tensor tensor = HostTensor<T>(shape, device);
  std::copy(values.begin(), values.end(), tensor.template mutable_data_ptr<T>());
  return OnDevice(tensor, device);
}
// [n]
template <class T>
at::Tensor TensorOf(std::span<const T> values, const Device& device = Device::Cpu()) {
  return TensorOf<T>(values, {std::ssize(values)}, device);
}
template <class T>
at::Tensor TensorOf(const std::vector<T>& values, const Device& device = Device::Cpu()) {
  return TensorOf(std::span<const T>(values), device);
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

// A list where operations on a device read it: on a CPU where it lies (valid while that memory is),
// elsewhere a copy.
template <class T>
at::Tensor ReadableOn(const Device& device, std::span<const T> values) {
  return device.is_host() ? ViewOf(values) : TensorOf(values, device);
}
template <class T>
at::Tensor ReadableOn(const Device& device, const std::vector<T>& values) {
  return ReadableOn(device, std::span<const T>(values));
}
// [rows, width], likewise.
template <class T>
at::Tensor ReadableOn(const Device& device, std::span<const T> values, int64_t rows,
                      int64_t width) {
  TORII_CHECK(std::ssize(values) == rows * width, values.size(), " values are not ", rows, " x ",
              width);
  return ReadableOn(device, values).view({rows, width});
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

// A list that the host reads, and operations on a device too: on a CPU the same memory.
template <class T>
class PlannedList {
 public:
  PlannedList() = default;
  // host: [n] on the CPU.
  PlannedList(at::Tensor host, const Device& device)
      : host_(std::move(host)), tensor_(OnDevice(host_, device)) {}
  std::span<const T> values() const {
    if (!host_.defined()) return {};
    return {host_.template const_data_ptr<T>(), static_cast<size_t>(host_.numel())};
  }
  int64_t size() const { return std::ssize(values()); }
  // [n] on the device.
  const at::Tensor& tensor() const { return tensor_; }

 private:
  at::Tensor host_, tensor_;
};

// A tensor [n] that code fills in as a list.
template <class T>
class FilledTensor {
 public:
  explicit FilledTensor(int64_t n, const Device& device = Device::Cpu())
      : device_(device),
        tensor_(HostTensor<T>({n}, device)),
        values_(tensor_.template mutable_data_ptr<T>(), static_cast<size_t>(n)) {}
  std::span<T> values() { return values_; }
  // On the device.
  at::Tensor take() { return OnDevice(std::exchange(tensor_, at::Tensor()), device_); }
  PlannedList<T> take_list() { return {std::exchange(tensor_, at::Tensor()), device_}; }

 private:
  const Device device_;
  at::Tensor tensor_;
  std::span<T> values_;
};

}  // namespace torii::kernels
