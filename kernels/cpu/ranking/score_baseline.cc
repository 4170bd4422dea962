// The score kernels for any CPU of the architecture.
#include "kernels/cpu/ranking/score_tile.h"

namespace torii::kernels::cpu {
namespace {
constexpr ScoreVariant kVariant = MakeScoreVariant("baseline");
}  // namespace
const ScoreVariant* const kScoreBaseline = &kVariant;
}  // namespace torii::kernels::cpu
