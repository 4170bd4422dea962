#include "sharding/row_memory.h"

#include <ATen/ATen.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

namespace torii::sharding {
namespace {

constexpr size_t kHugePage = size_t{1} << 21;

}  // namespace

at::Tensor AllocateRows(int64_t rows, int64_t width, const kernels::Device& device) {
  if (!device.is_host()) {
    return at::empty({rows, width}, at::TensorOptions(device.torch()).dtype(at::kFloat));
  }
  const size_t bytes = static_cast<size_t>(rows * width) * sizeof(float);
  if (bytes >= 2 * kHugePage) {
    const size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
    if (void* memory = std::aligned_alloc(kHugePage, rounded)) {
      madvise(memory, rounded, MADV_HUGEPAGE);  // advice only: a refusal is no error
      return at::from_blob(memory, {rows, width}, [](void* p) { std::free(p); }, at::kFloat);
    }
  }
  return at::empty({rows, width}, at::kFloat);
}

at::Tensor RowBuffers::Take(int64_t rows, int64_t width) {
  if (!device_.is_host()) return AllocateRows(rows, width, device_);
  // The smallest free buffer that is large enough; else the largest free one grows.
  const int64_t needed = rows * width;
  at::Tensor* chosen = nullptr;
  for (at::Tensor& buffer : buffers_) {
    if (buffer.storage().use_count() != 1) continue;
    const bool fits = buffer.numel() >= needed;
    const bool chosen_fits = chosen != nullptr && chosen->numel() >= needed;
    if (chosen == nullptr || (fits && !chosen_fits) ||
        (fits == chosen_fits && (buffer.numel() < chosen->numel()) == fits)) {
      chosen = &buffer;
    }
  }
  if (chosen == nullptr) chosen = &buffers_.emplace_back(at::empty({0}, at::kFloat));
  if (chosen->numel() < needed) {
    // Some room to spare: the number of distinct rows varies from step to step.
    *chosen = at::Tensor();
    // No view of it: a view keeps its base, which would count as a user of the memory.
    *chosen = AllocateRows(needed + needed / 8, 1, device_);
  }
  return at::empty({0}, at::kFloat).set_(chosen->storage(), 0, {rows, width}, {width, 1});
}

}  // namespace torii::sharding
