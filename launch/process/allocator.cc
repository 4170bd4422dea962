#include "launch/process/allocator.h"

#include <malloc.h>

namespace torii::launch {

void KeepFreedMemory() {
#if defined(__GLIBC__)
  constexpr int kMostFromTheHeap = 32 << 20;  // the largest value that glibc takes
  constexpr int kTrimAbove = 1 << 30;
  constexpr int kGrowBy = 64 << 20;
  mallopt(M_MMAP_THRESHOLD, kMostFromTheHeap);
  mallopt(M_TRIM_THRESHOLD, kTrimAbove);
  mallopt(M_TOP_PAD, kGrowBy);
#endif
}

}  // namespace torii::launch
