// The row kernels for any CPU of the architecture.
#include "kernels/cpu/rows_tile.h"

namespace torii::kernels::cpu {
namespace {
constexpr RowsVariant kVariant = MakeRowsVariant("baseline");
}  // namespace
const RowsVariant* const kRowsBaseline = &kVariant;
}  // namespace torii::kernels::cpu
