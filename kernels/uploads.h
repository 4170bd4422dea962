// Many lists, one copy to the device: a copy of a few numbers costs the host as much as one of a
// thousand.
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::kernels {

// While it lives, the lists that its thread makes for the device (host_tensors.h) lie in one piece
// of pinned memory, and what they are on the device has its place there, but no content before
// Send(): nothing may be done with it earlier. On a device whose memory is the host's it does
// nothing. One at a time in a thread.
class Uploads {
 public:
  explicit Uploads(const Device& device);
  ~Uploads();
  Uploads(const Uploads&) = delete;
  Uploads& operator=(const Uploads&) = delete;

  // Copies everything; the host does not wait for it. Once, at the end.
  void Send();

  // ---- For host_tensors.h ----

  // Of this thread, or null.
  static Uploads* Current();
  // A tensor of the host, not initialised; undefined where there is no room left.
  at::Tensor HostTensor(at::IntArrayRef shape, at::ScalarType type);
  // What `host` will be on the device: a tensor that HostTensor gave, or another one, whose content
  // is copied. Undefined where there is no room left.
  at::Tensor OnDevice(const at::Tensor& host);

 private:
  // Bytes `begin` to `begin + size` of host_ and there_.
  static at::Tensor Part(const at::Tensor& bytes, int64_t begin, at::IntArrayRef shape,
                         at::ScalarType type);

  at::Tensor host_, there_;  // [capacity] bytes
  int64_t used_ = 0;         // of the capacity; more where there was no room
};

}  // namespace torii::kernels
