// The kernels as they are compiled for each instruction set, and the one rule by which a family
// chooses among them: the caller names a variant (tests name each of them), or gets the best one
// that this machine can run.
#pragma once

#include <vector>

#include "kernels/cpu/linear_variant.h"
#include "kernels/cpu/ranking/score_variant.h"
#include "kernels/cpu/rows_variant.h"
#include "kernels/cpu/softmax/softmax_variant.h"
#include "kernels/cpu/weights_variant.h"

namespace torii::kernels::cpu {

// Those this machine can run, the best first. Never empty: the baseline runs everywhere.
const std::vector<const ScoreVariant*>& RunnableScoreVariants();
const std::vector<const LinearVariant*>& RunnableLinearVariants();
const std::vector<const RowsVariant*>& RunnableRowsVariants();
const std::vector<const WeightsVariant*>& RunnableWeightsVariants();
// Without bfloat16 instructions the products are taken in float32 arithmetic, with the same
// roundings of the factors.
const std::vector<const SoftmaxVariant*>& RunnableSoftmaxVariants(SoftmaxPrecision precision);

// `wanted`, or the best of `runnable` where it is null.
template <class Variant>
const Variant& Choose(const Variant* wanted, const std::vector<const Variant*>& runnable) {
  return wanted != nullptr ? *wanted : *runnable.front();
}

// "avx512", "avx2" or "baseline": the widest instruction set of which this machine runs kernels.
const char* BestInstructionSet();

}  // namespace torii::kernels::cpu
