// The order in which a recurrent network reads ragged sequences: step by step, the longest
// sequences first, so that those that still run at a step are a prefix and no step computes
// padding.
#pragma once

#include <cstdint>
#include <span>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::model {

struct TimeMajor {
  at::Tensor sequence;  // [m] int64: the sequences that are not empty, from the longest to the
                        // shortest, equal ones in their order
  at::Tensor running;   // [L] int64, on the CPU: how many of them have an event at step t, t = 0 ..
                        // longest - 1
  at::Tensor event;     // [nnz] int64: places in Sequences::index, by step, then as in `sequence`
};

// begins: [n + 1], as in Sequences. The tensors are on `device`.
TimeMajor InTimeMajorOrder(std::span<const int64_t> begins, const kernels::Device& device);

}  // namespace torii::model
