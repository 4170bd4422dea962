// The score kernels as they are compiled for each instruction set. score.cc uses the best one that
// this CPU runs; tests use all of them.
#pragma once

#include <vector>

#include "kernels/score_variant.h"

namespace torii::kernels {

// Those this machine can run, the best first. Never empty.
const std::vector<const ScoreVariant*>& RunnableScoreVariants();

// For tests: from now on score.cc uses `variant`, and vectors packed before are invalid. Not
// thread-safe.
void UseScoreVariant(const ScoreVariant& variant);

}  // namespace torii::kernels
