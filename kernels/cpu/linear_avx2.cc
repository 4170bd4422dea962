// The kernels of linear layers for Avx2; empty where the compiler has no such target (flags.cmake).
#include "kernels/cpu/linear_tile.h"

namespace torii::kernels::cpu {
#if defined(__AVX2__) && defined(__FMA__)
namespace {
constexpr LinearVariant kVariant = MakeLinearVariant("avx2");
}  // namespace
const LinearVariant* const kLinearAvx2 = &kVariant;
#else
const LinearVariant* const kLinearAvx2 = nullptr;
#endif
}  // namespace torii::kernels::cpu
