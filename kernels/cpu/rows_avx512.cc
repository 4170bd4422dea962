// The row kernels for Avx512; empty where the compiler has no such target (flags.cmake).
#include "kernels/cpu/rows_tile.h"

namespace torii::kernels::cpu {
#if defined(__AVX512F__)
namespace {
constexpr RowsVariant kVariant = MakeRowsVariant("avx512");
}  // namespace
const RowsVariant* const kRowsAvx512 = &kVariant;
#else
const RowsVariant* const kRowsAvx512 = nullptr;
#endif
}  // namespace torii::kernels::cpu
