// The softmax kernels for Baseline.
#include "kernels/cpu/softmax/softmax_pack.h"

namespace torii::kernels::cpu {
namespace {
constexpr SoftmaxVariant kFloat32 = MakeSoftmaxVariant<Float32Terms>("baseline");
constexpr SoftmaxVariant kBf16 = MakeSoftmaxVariant<Bfloat16Terms>("baseline");
}  // namespace
const SoftmaxVariant* const kSoftmaxBaseline = &kFloat32;
const SoftmaxVariant* const kSoftmaxBaselineBf16 = &kBf16;
}  // namespace torii::kernels::cpu
