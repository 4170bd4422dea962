// Lists of embedding rows pooled to one row each, or picked one by one. An empty list pools to
// zeros. Sums are taken in the order of the lists, gradients in the order of the places where a row
// is used: the same bits on any number of threads.
#pragma once

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::model {

enum class BagPooling { kMean, kSum };

// In all three functions: rows [distinct, E] float32, index int64 into rows; differentiable with
// respect to rows (once).

// index [n] -> [n, E]; `rows` itself where the index is undefined, or the device sees that it is
// 0, 1, ..., distinct - 1.
at::Tensor PickRows(const at::Tensor& rows, const at::Tensor& index, const kernels::Device& device);

// index [nnz], offsets [n + 1] int64 with offsets[0] = 0 and offsets[n] = nnz -> [n, E].
at::Tensor PoolRows(const at::Tensor& rows, const at::Tensor& index, const at::Tensor& offsets,
                    BagPooling pooling, const kernels::Device& device);

// Mean with weights 0.5^(age / half_life), age 0 for the last of a list, 1 for the one before it.
at::Tensor PoolRecent(const at::Tensor& rows, const at::Tensor& index, const at::Tensor& offsets,
                      double half_life, const kernels::Device& device);

}  // namespace torii::model
