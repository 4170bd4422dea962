// Random rows that are a pure function of a stream of base/random.h and the number of the row: the
// same on every device (normal numbers to the last bits of log and cos) and number of ranks.
#pragma once

#include "ATen/core/Tensor.h"
#include "base/random.h"
#include "kernels/device.h"

namespace torii::kernels {

// Row i of out [count, width] float32, whose rows need not lie one behind the other, = scale times
// the normal numbers of row first_row + i * row_step of the stream.
void FillNormalRows(const Device& device, const RandomStream& stream, int64_t first_row,
                    int64_t row_step, float scale, at::Tensor out);

// [n, width] float32: 0 with probability `drop`, else 1 / (1 - drop). Row i depends on key[i] alone
// (key: [n] int64).
at::Tensor DropoutMask(const Device& device, const RandomStream& stream, const at::Tensor& key,
                       int64_t width, double drop);

}  // namespace torii::kernels
