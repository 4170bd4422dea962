// The softmax of fused_softmax.h for any scorer: LibTorch's operations over tiles of queries, on
// any device. It serves scorers that are no inner products; tests compare the fused kernels with
// it.
#pragma once

#include <string>

#include "model/loss/fused_softmax.h"
#include "model/scorer/scorer.h"

namespace torii::model {

// Value and gradients. Gradients of the scorer's weights are added to the dense gradient. The
// problem's temperature is not read, because the scores contain it.
SoftmaxResult ComposedSoftmax(const Scorer& scorer, const SoftmaxProblem& problem);

// Tells the first row whose loss is not finite; empty if all are finite.
std::string ExplainSoftmax(const Scorer& scorer, const SoftmaxProblem& problem);

}  // namespace torii::model
