// Memory that a computation keeps from one use to the next.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>

namespace torii::kernels::cpu {

// Floats on a 64-byte boundary that grow as asked; large ones on huge pages where the system has
// them. Their values are lost when they grow.
class ScratchFloats {
 public:
  ScratchFloats() = default;
  ScratchFloats(const ScratchFloats&) = delete;
  ScratchFloats& operator=(const ScratchFloats&) = delete;
  ~ScratchFloats() { std::free(floats_); }

  // At least n floats, undefined at first.
  float* Reserve(int64_t n) {
    constexpr size_t kLine = 64, kHugePage = size_t{1} << 21;
    if (n <= size_) return floats_;
    std::free(floats_);
    // An eighth more, so that sizes that vary a little settle soon.
    const size_t wanted = static_cast<size_t>(n + n / 8) * sizeof(float);
    const size_t granule = wanted >= kHugePage ? kHugePage : kLine;
    const size_t bytes = (wanted + granule - 1) / granule * granule;
    floats_ = static_cast<float*>(std::aligned_alloc(granule, bytes));
    if (floats_ == nullptr) std::abort();
    if (granule == kHugePage) (void)madvise(floats_, bytes, MADV_HUGEPAGE);
    size_ = static_cast<int64_t>(bytes / sizeof(float));
    return floats_;
  }
  float* get() const { return floats_; }

 private:
  float* floats_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace torii::kernels::cpu
