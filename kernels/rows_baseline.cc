// The row kernels for any CPU of the architecture.
#include "kernels/rows_tile.h"

namespace torii::kernels {
namespace {
constexpr RowsVariant kVariant = MakeRowsVariant("baseline");
}  // namespace
const RowsVariant* const kRowsBaseline = &kVariant;
}  // namespace torii::kernels
