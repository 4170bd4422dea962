// The optimizers of dense weights for Baseline.
#include "kernels/cpu/weights_tile.h"

namespace torii::kernels::cpu {
namespace {
constexpr WeightsVariant kVariant = MakeWeightsVariant("baseline");
}  // namespace
const WeightsVariant* const kWeightsBaseline = &kVariant;
}  // namespace torii::kernels::cpu
