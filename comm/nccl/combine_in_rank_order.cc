#include "comm/nccl/combine_in_rank_order.h"

#include <ATen/ATen.h>

namespace torii::comm {

void CombineInRankOrder(const at::Tensor& staged, ReduceOp op, at::Tensor& out) {
  out.copy_(staged[0]);
  for (int64_t r = 1; r < staged.size(0); ++r) {
    const at::Tensor next = staged[r];
    if (op == ReduceOp::kSum) {
      out.add_(next);
      continue;
    }
    // at::minimum leaves open which zero it takes.
    const at::Tensor better = op == ReduceOp::kMin ? next.lt(out) : next.gt(out);
    out.copy_(at::where(better.logical_or(next.ne(next)), next, out));
  }
}

}  // namespace torii::comm
