// From queries to rows and back, for losses that look at rows one by one.
#pragma once

#include "ATen/core/Tensor.h"
#include "model/loss/loss.h"

namespace torii::model {

// [R, D] -> [B, D]: the query of each row; `q` itself where query i is row i. Differentiable.
at::Tensor RowQueries(const RowGroups& rows, const at::Tensor& q, const kernels::Device& device);
// [B, D] -> [R, D]: the sum over the rows of each query.
at::Tensor SumOfQueries(const RowGroups& rows, const at::Tensor& of_rows,
                        const kernels::Device& device);
// The columns that a row does not see; its own positive may be among those of its query.
at::Tensor ExcludedOf(const LossInput& input, int64_t row);

}  // namespace torii::model
