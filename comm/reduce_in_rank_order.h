// The one reduction kernel of the CPU back ends: element by element, over the ranks in rank order,
// so that all back ends give the same bits.
#pragma once

#include <cstdint>
#include <span>

#include "ATen/core/Tensor.h"
#include "comm/communicator.h"

namespace torii::comm {

// inputs[r][begin, end) reduced over r -> outputs[k][begin, end) for every k. Elements of `dtype`
// (float32, float64, int64, int32 or uint8). An output may be one of the inputs (the same address),
// not a shifted one. Integers wrap around; a NaN anywhere makes the result NaN.
void ReduceInRankOrder(at::ScalarType dtype, ReduceOp op, std::span<const void* const> inputs,
                       std::span<void* const> outputs, int64_t begin, int64_t end);

}  // namespace torii::comm
