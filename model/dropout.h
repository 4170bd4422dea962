// Dropout whose mask is a pure function of (seed, layer, step, key of the row): the same on any
// number of ranks.
#pragma once

#include "ATen/core/Tensor.h"
#include "base/random.h"

namespace torii::model {

// [n, width] float32: 0 with probability `drop`, else 1 / (1 - drop). Row i depends on key[i] alone
// (key: [n] int64).
at::Tensor DropoutMask(const RandomStream& stream, const at::Tensor& key, int64_t width,
                       double drop);

}  // namespace torii::model
