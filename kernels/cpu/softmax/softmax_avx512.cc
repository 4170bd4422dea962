// The softmax kernels for Avx512; empty where the compiler has no such target (flags.cmake).
#include "kernels/cpu/softmax/softmax_pack.h"

namespace torii::kernels::cpu {
#if defined(__AVX512F__)
namespace {
constexpr SoftmaxVariant kFloat32 = MakeSoftmaxVariant<Float32Terms>("avx512");
constexpr SoftmaxVariant kBf16 = MakeSoftmaxVariant<Bfloat16Terms>("avx512");
}  // namespace
const SoftmaxVariant* const kSoftmaxAvx512 = &kFloat32;
const SoftmaxVariant* const kSoftmaxAvx512Bf16 = &kBf16;
#else
const SoftmaxVariant* const kSoftmaxAvx512 = nullptr;
const SoftmaxVariant* const kSoftmaxAvx512Bf16 = nullptr;
#endif
}  // namespace torii::kernels::cpu
