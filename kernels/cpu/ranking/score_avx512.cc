// The score kernels for Avx512; empty where the compiler has no such target (flags.cmake).
#include "kernels/cpu/ranking/score_tile.h"

namespace torii::kernels::cpu {
#if defined(__AVX512F__)
namespace {
constexpr ScoreVariant kVariant = MakeScoreVariant("avx512");
}  // namespace
const ScoreVariant* const kScoreAvx512 = &kVariant;
#else
const ScoreVariant* const kScoreAvx512 = nullptr;
#endif
}  // namespace torii::kernels::cpu
