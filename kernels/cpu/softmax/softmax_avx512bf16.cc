// The softmax kernels for Avx512 with bfloat16 products; empty where the compiler has no such
// target (flags.cmake).
#include "kernels/cpu/softmax/softmax_pack.h"

namespace torii::kernels::cpu {
#if defined(__AVX512BF16__)
namespace {
constexpr SoftmaxVariant kBf16 = MakeSoftmaxVariant<Bfloat16Terms>("avx512bf16");
}  // namespace
const SoftmaxVariant* const kSoftmaxAvx512NativeBf16 = &kBf16;
#else
const SoftmaxVariant* const kSoftmaxAvx512NativeBf16 = nullptr;
#endif
}  // namespace torii::kernels::cpu
