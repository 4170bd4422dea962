// The row kernels for Avx2; empty where the compiler has no such target (flags.cmake).
#include "kernels/cpu/rows_tile.h"

namespace torii::kernels::cpu {
#if defined(__AVX2__) && defined(__FMA__)
namespace {
constexpr RowsVariant kVariant = MakeRowsVariant("avx2");
}  // namespace
const RowsVariant* const kRowsAvx2 = &kVariant;
#else
const RowsVariant* const kRowsAvx2 = nullptr;
#endif
}  // namespace torii::kernels::cpu
