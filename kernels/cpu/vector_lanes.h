// The widest float vector of the instruction set that the including file is compiled for. Only for
// files that get their own compiler flags (flags.cmake): everything here has internal linkage, and
// such files include nothing else with inline functions, so that no code for a wider CPU can reach
// the rest of the program.
#pragma once

#include <cstdint>

namespace torii::kernels::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

using Floats = float __attribute__((vector_size(4 * kLanes)));
using Ints = int32_t __attribute__((vector_size(4 * kLanes)));
using Doubles = double __attribute__((vector_size(8 * kLanes)));
// For arithmetic on the bits of floats, which may wrap around.
using Bits = uint32_t __attribute__((vector_size(4 * kLanes)));
// The same in memory: at any address of a float.
using FloatsInMemory = float __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
using IntsInMemory = int32_t __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

[[maybe_unused, gnu::always_inline]] inline Floats Load(const float* p) {
  return *reinterpret_cast<const FloatsInMemory*>(p);
}
[[maybe_unused, gnu::always_inline]] inline void Store(float* p, Floats x) {
  *reinterpret_cast<FloatsInMemory*>(p) = x;
}
// The first n floats from p, then zeros.
[[maybe_unused, gnu::always_inline]] inline Floats LoadFirst(const float* p, int64_t n) {
  if (n >= kLanes) return Load(p);
  Floats out{};
  for (int64_t i = 0; i < n; ++i) out[i] = p[i];
  return out;
}

[[maybe_unused, gnu::always_inline]] inline void StoreFirst(float* p, Floats x, int64_t n) {
  if (n >= kLanes) return Store(p, x);
  for (int64_t i = 0; i < n; ++i) p[i] = x[i];
}
[[maybe_unused, gnu::always_inline]] inline Floats Broadcast(float x) { return x - Floats{}; }

}  // namespace
}  // namespace torii::kernels::cpu
