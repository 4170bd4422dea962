// The score kernels for Avx2; empty where the compiler has no such target (flags.cmake).
#include "kernels/cpu/ranking/score_tile.h"

namespace torii::kernels::cpu {
#if defined(__AVX2__) && defined(__FMA__)
namespace {
constexpr ScoreVariant kVariant = MakeScoreVariant("avx2");
}  // namespace
const ScoreVariant* const kScoreAvx2 = &kVariant;
#else
const ScoreVariant* const kScoreAvx2 = nullptr;
#endif
}  // namespace torii::kernels::cpu
