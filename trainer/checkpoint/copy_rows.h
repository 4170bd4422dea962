// Rows of a table from one partition to another.
#pragma once

#include "ATen/core/Tensor.h"
#include "base/partition.h"

namespace torii::trainer {

// `from` has the rows that rank `from_rank` holds under partition `of_from`; `to` has those that
// rank `rank` holds under `of_to`. Copies the rows that both have from `from` to `to`; other rows
// of `to` stay as they are. Both are [held rows, ...] with the same row shape and dtype. The
// partitions are of the same table, over worlds of any size. Local.
void CopyRows(const at::Tensor& from, const Partition& of_from, int from_rank, at::Tensor& to,
              const Partition& of_to, int rank);

}  // namespace torii::trainer
