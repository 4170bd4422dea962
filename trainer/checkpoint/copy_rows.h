// Rows of a table from one partition to another.
#pragma once

#include "ATen/core/Tensor.h"
#include "base/partition.h"

namespace torii::trainer {

// Copies those rows of `from`, which holds what rank `from_rank` of `of_from` holds, that rank
// `rank` of `of_to` holds, into `to`. Both are [held rows, ...] with the same row shape and dtype;
// other rows of `to` stay as they are. The partitions are of the same rows, over any worlds. Local.
void CopyRows(const at::Tensor& from, const Partition& of_from, int from_rank, at::Tensor& to,
              const Partition& of_to, int rank);

}  // namespace torii::trainer
