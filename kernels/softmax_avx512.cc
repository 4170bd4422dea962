// The softmax kernels for Avx512; empty where the compiler has no such target (flags.cmake).
#include "kernels/softmax_tile.h"

namespace torii::kernels {
#if defined(__AVX512F__)
namespace {
constexpr SoftmaxVariant kVariant = MakeSoftmaxVariant("avx512");
}  // namespace
const SoftmaxVariant* const kSoftmaxAvx512 = &kVariant;
#else
const SoftmaxVariant* const kSoftmaxAvx512 = nullptr;
#endif
}  // namespace torii::kernels
