// Lists of embedding rows pooled to one row each, or picked one by one, and the way back. Sums are
// taken in the order of the lists, gradients in the order of the places where a row is used. No
// gradient is recorded. All tensors are on the device.
#pragma once

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::kernels {

struct RowListTensors {
  at::Tensor index;    // [places] int64 into rows, list after list
  at::Tensor offsets;  // [n + 1] int64 places where the lists begin; undefined: a row in each list
  at::Tensor weights;  // [places] float32 of each place; undefined: 1
  at::Tensor scales;   // [n] float32 of the sums; undefined: 1

  int64_t count() const { return offsets.defined() ? offsets.numel() - 1 : index.numel(); }
};

// rows [distinct, E] float32 -> [n, E]: the weighted sum of each list, zeros for an empty one.
at::Tensor PoolRows(const Device& device, const at::Tensor& rows, const RowListTensors& lists);

// The gradient of rows, [rows, E], from that of the result, [n, E].
at::Tensor PoolRowsBackward(const Device& device, const at::Tensor& gradient,
                            const RowListTensors& lists, int64_t rows);

// Whether index is 0, 1, ..., rows - 1, as far as the device can tell without waiting; false: it
// may be so nevertheless.
bool IsKnownIdentity(const Device& device, const at::Tensor& index, int64_t rows);

// [n] float32: 1 / length of each list, 1 for an empty one.
at::Tensor InverseLengths(const Device& device, const at::Tensor& offsets);

// [places] float32: 0.5^(age / half_life) over the sum of the list's, age 0 for the last of a list.
at::Tensor RecencyWeights(const Device& device, const at::Tensor& offsets, int64_t places,
                          double half_life);

}  // namespace torii::kernels
