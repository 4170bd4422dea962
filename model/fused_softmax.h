// The float32 softmax loss through the fused kernels: rows split over the intra-op threads.
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "model/softmax_loss.h"

namespace torii::model {

struct FusedSoftmax {
  SoftmaxResult result;
  int64_t bad_row = -1;  // the first row whose loss is not finite, -1 if there is none
};

// `problem`: float32 on the CPU, contiguous, checked, B and U at least 1. The bits of loss and
// q_grad do not depend on the number of threads; those of v_grad do.
FusedSoftmax ComputeFusedSoftmax(const SoftmaxProblem& problem);

}  // namespace torii::model
