// The softmax of fused_softmax.h for any scorer: LibTorch's operations over tiles of rows, on any
// device. For scores that are no inner products, and as its reference.
#pragma once

#include <string>

#include "model/loss/fused_softmax.h"
#include "model/scorer/scorer.h"

namespace torii::model {

// Value and gradients. The gradients of the scorer's weights are added to its own. The problem's
// temperature is not read: it is in the scores.
SoftmaxResult ComposedSoftmax(const Scorer& scorer, const SoftmaxProblem& problem);

// Tells the first row whose loss is not finite; empty if all are finite.
std::string ExplainSoftmax(const Scorer& scorer, const SoftmaxProblem& problem);

}  // namespace torii::model
