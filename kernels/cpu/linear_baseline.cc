// The kernels of linear layers for any CPU of the architecture.
#include "kernels/cpu/linear_tile.h"

namespace torii::kernels::cpu {
namespace {
constexpr LinearVariant kVariant = MakeLinearVariant("baseline");
}  // namespace
const LinearVariant* const kLinearBaseline = &kVariant;
}  // namespace torii::kernels::cpu
