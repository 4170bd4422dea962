// The softmax kernels for Avx2; empty where the compiler has no such target (flags.cmake).
#include "kernels/softmax_tile.h"

namespace torii::kernels {
#if defined(__AVX2__) && defined(__FMA__)
namespace {
constexpr SoftmaxVariant kVariant = MakeSoftmaxVariant("avx2");
}  // namespace
const SoftmaxVariant* const kSoftmaxAvx2 = &kVariant;
#else
const SoftmaxVariant* const kSoftmaxAvx2 = nullptr;
#endif
}  // namespace torii::kernels
