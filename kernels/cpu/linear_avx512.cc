// The kernels of linear layers for Avx512; empty where the compiler has no such target
// (flags.cmake).
#include "kernels/cpu/linear_tile.h"

namespace torii::kernels::cpu {
#if defined(__AVX512F__)
namespace {
constexpr LinearVariant kVariant = MakeLinearVariant("avx512");
}  // namespace
const LinearVariant* const kLinearAvx512 = &kVariant;
#else
const LinearVariant* const kLinearAvx512 = nullptr;
#endif
}  // namespace torii::kernels::cpu
