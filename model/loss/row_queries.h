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

}  // namespace torii::model
