// The reduction of tensors on a device, with the bits of the CPU back ends.
#pragma once

#include "ATen/core/Tensor.h"
#include "comm/control_plane.h"

namespace torii::comm {

// staged [W, n], row r is from rank r -> out [n], combined element by element in rank order, with
// the bits of ReduceInRankOrder (a NaN may be another NaN). On the current stream of their device;
// composed of LibTorch's operations, which read and write `out` W - 1 times.
void CombineInRankOrder(const at::Tensor& staged, ReduceOp op, at::Tensor& out);

}  // namespace torii::comm
