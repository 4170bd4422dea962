// The optimizers of dense weights for Avx512; empty where the compiler has no such target
// (flags.cmake).
#include "kernels/cpu/weights_tile.h"

namespace torii::kernels::cpu {
#if defined(__AVX512F__)
namespace {
constexpr WeightsVariant kVariant = MakeWeightsVariant("avx512");
}  // namespace
const WeightsVariant* const kWeightsAvx512 = &kVariant;
#else
const WeightsVariant* const kWeightsAvx512 = nullptr;
#endif
}  // namespace torii::kernels::cpu
