#include "kernels/uploads.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/check.h"

namespace torii::kernels {
namespace {

// Of each list: what kernels read as vectors lies on a multiple of it.
constexpr int64_t kAlignment = 256;
constexpr int64_t kLeastCapacity = int64_t{1} << 16;

thread_local Uploads* current = nullptr;
// What this thread needed the last time, and a part more.
thread_local int64_t capacity = kLeastCapacity;

int64_t RoundedUp(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

int64_t BytesOf(at::IntArrayRef shape, at::ScalarType type) {
  return c10::multiply_integers(shape) * static_cast<int64_t>(c10::elementSize(type));
}

}  // namespace

Uploads::Uploads(const Device& device) {
  if (device.is_host()) return;
  TORII_CHECK(current == nullptr, "this thread uploads already");
  const at::TensorOptions bytes = at::TensorOptions().dtype(at::kByte);
  host_ = at::empty({capacity}, bytes.pinned_memory(true));
  there_ = at::empty({capacity}, bytes.device(device.torch()));
  current = this;
}

Uploads::~Uploads() {
  if (current == this) current = nullptr;
}

Uploads* Uploads::Current() { return current; }

void Uploads::Send() {
  if (current != this) return;
  current = nullptr;
  const int64_t size = std::min(used_, host_.numel());
  if (size > 0) {
    there_.slice(0, 0, size).copy_(host_.slice(0, 0, size), /*non_blocking=*/true);
  }
  capacity = std::max(kLeastCapacity, RoundedUp(used_ + used_ / 4));
}

at::Tensor Uploads::Part(const at::Tensor& bytes, int64_t begin, at::IntArrayRef shape,
                         at::ScalarType type) {
  return bytes.slice(0, begin, begin + BytesOf(shape, type)).view(type).view(shape);
}

at::Tensor Uploads::HostTensor(at::IntArrayRef shape, at::ScalarType type) {
  const int64_t begin = used_;
  used_ += RoundedUp(BytesOf(shape, type));
  if (used_ > host_.numel()) return {};
  return Part(host_, begin, shape, type);
}

at::Tensor Uploads::OnDevice(const at::Tensor& host) {
  at::Tensor here = host;
  if (!host.is_alias_of(host_)) {
    here = HostTensor(host.sizes(), host.scalar_type());
    if (!here.defined()) return {};
    here.copy_(host);
  }
  const int64_t begin = here.storage_offset() * static_cast<int64_t>(here.element_size());
  return Part(there_, begin, here.sizes(), here.scalar_type());
}

}  // namespace torii::kernels
