#include "model/loss/row_queries.h"

#include <ATen/ATen.h>

#include "kernels/host_tensors.h"
#include "model/pool_rows.h"

namespace torii::model {

at::Tensor RowQueries(const RowGroups& rows, const at::Tensor& q, const kernels::Device& device) {
  if (rows.one_each()) return q;
  std::vector<int64_t> query(static_cast<size_t>(rows.rows()));
  for (int64_t i = 0; i < rows.queries(); ++i) {
    for (int64_t row = rows.begin(i); row < rows.begin(i + 1); ++row) {
      query[static_cast<size_t>(row)] = i;
    }
  }
  return PickRows(q, kernels::TensorOf(std::span<const int64_t>(query), device), device);
}

at::Tensor SumOfQueries(const RowGroups& rows, const at::Tensor& of_rows,
                        const kernels::Device& device) {
  if (rows.one_each()) return of_rows;
  std::vector<int64_t> row(static_cast<size_t>(rows.rows()));
  for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<int64_t>(i);
  return PoolRows(of_rows, kernels::TensorOf(std::span<const int64_t>(row), device),
                  kernels::TensorOf(rows.begins(), device), BagPooling::kSum, device);
}

}  // namespace torii::model
