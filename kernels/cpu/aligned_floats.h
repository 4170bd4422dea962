// Floats on a 64-byte boundary, where vector loads are fastest.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>

namespace torii::kernels::cpu {

struct ReleaseAlignedFloats {
  void operator()(float* floats) const { ::operator delete[](floats, std::align_val_t{64}); }
};
using AlignedFloats = std::unique_ptr<float[], ReleaseAlignedFloats>;

// Not initialised.
inline AlignedFloats MakeAlignedFloats(int64_t size) {
  return AlignedFloats(static_cast<float*>(
      ::operator new[](static_cast<size_t>(size) * sizeof(float), std::align_val_t{64})));
}

inline AlignedFloats MakeAlignedFloats(int64_t size, float value) {
  AlignedFloats floats = MakeAlignedFloats(size);
  std::fill(floats.get(), floats.get() + size, value);
  return floats;
}

}  // namespace torii::kernels::cpu
