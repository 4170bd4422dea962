// Memory for many float32 rows on a device.
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::sharding {

// [rows, width] float32, not initialised. Large ones of the host lie on huge pages where the system
// grants them: rows are read and written in random order, and 4 KB pages cost a page walk each time.
at::Tensor AllocateRows(int64_t rows, int64_t width, const kernels::Device& device);

// Reuses the memory of tensors that nobody holds any more, so that a step does not fault in fresh
// pages. Elsewhere than on the host LibTorch does so itself. Not thread-safe.
class RowBuffers {
 public:
  explicit RowBuffers(const kernels::Device& device) : device_(device) {}
  // [rows, width] float32, not initialised, shares no memory with any tensor in use.
  at::Tensor Take(int64_t rows, int64_t width);

 private:
  const kernels::Device device_;
  std::vector<at::Tensor> buffers_;  // [floats, 1] each
};

}  // namespace torii::sharding
