// The softmax kernels for any CPU of the architecture.
#include "kernels/softmax_tile.h"

namespace torii::kernels {
namespace {
constexpr SoftmaxVariant kVariant = MakeSoftmaxVariant("baseline");
}  // namespace
const SoftmaxVariant* const kSoftmaxBaseline = &kVariant;
}  // namespace torii::kernels
