// Lists of embedding rows pooled to one row each. An empty list pools to zeros.
#pragma once

#include "ATen/core/Tensor.h"

namespace torii::model {

enum class BagPooling { kMean, kSum };

// rows [distinct, E], index [nnz] int64 into rows, offsets [n + 1] int64 with offsets[0] = 0 -> [n,
// E]. Differentiable with respect to rows.
at::Tensor PoolRows(const at::Tensor& rows, const at::Tensor& index, const at::Tensor& offsets,
                    BagPooling pooling);

// Mean with weights 0.5^(age / half_life), age 0 for the last of a list, 1 for the one before it.
at::Tensor PoolRecent(const at::Tensor& rows, const at::Tensor& index, const at::Tensor& offsets,
                      double half_life);

// The weights of PoolRecent, [nnz] float32; they add up to 1 over each list.
at::Tensor RecencyWeights(const at::Tensor& offsets, double half_life);

}  // namespace torii::model
