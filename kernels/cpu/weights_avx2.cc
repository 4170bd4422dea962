// The optimizers of dense weights for Avx2; empty where the compiler has no such target
// (flags.cmake).
#include "kernels/cpu/weights_tile.h"

namespace torii::kernels::cpu {
#if defined(__AVX2__)
namespace {
constexpr WeightsVariant kVariant = MakeWeightsVariant("avx2");
}  // namespace
const WeightsVariant* const kWeightsAvx2 = &kVariant;
#else
const WeightsVariant* const kWeightsAvx2 = nullptr;
#endif
}  // namespace torii::kernels::cpu
