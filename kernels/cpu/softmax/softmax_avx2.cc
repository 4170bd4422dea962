// The softmax kernels for Avx2; empty where the compiler has no such target (flags.cmake).
#include "kernels/cpu/softmax/softmax_pack.h"

namespace torii::kernels::cpu {
#if defined(__AVX2__)
namespace {
constexpr SoftmaxVariant kFloat32 = MakeSoftmaxVariant<Float32Terms>("avx2");
constexpr SoftmaxVariant kBf16 = MakeSoftmaxVariant<Bfloat16Terms>("avx2");
}  // namespace
const SoftmaxVariant* const kSoftmaxAvx2 = &kFloat32;
const SoftmaxVariant* const kSoftmaxAvx2Bf16 = &kBf16;
#else
const SoftmaxVariant* const kSoftmaxAvx2 = nullptr;
const SoftmaxVariant* const kSoftmaxAvx2Bf16 = nullptr;
#endif
}  // namespace torii::kernels::cpu
