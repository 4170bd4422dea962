#include "trainer/checkpoint/copy_rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "kernels/host_tensors.h"

namespace torii::trainer {
namespace {

// Rows copied at once: what lies between is no second copy of the table.
constexpr int64_t kRowsAtOnce = int64_t{1} << 16;

}  // namespace

void CopyRows(const at::Tensor& from, const Partition& of_from, int from_rank, at::Tensor& to,
              const Partition& of_to, int rank) {
  TORII_CHECK(of_from.rows() == of_to.rows(), of_from.rows(), " rows into ", of_to.rows());
  TORII_CHECK(from.size(0) == of_from.OwnedRows(from_rank) && to.size(0) == of_to.OwnedRows(rank),
              "tensors of ", from.size(0), " and ", to.size(0), " rows, where ranks hold ",
              of_from.OwnedRows(from_rank), " and ", of_to.OwnedRows(rank));
  std::vector<int64_t> source, target;
  for (int64_t begin = 0; begin < from.size(0); begin += kRowsAtOnce) {
    source.clear();
    target.clear();
    for (int64_t slot = begin; slot < std::min(begin + kRowsAtOnce, from.size(0)); ++slot) {
      const int64_t row = of_from.Row(from_rank, slot);
      if (!of_to.Holds(rank, row)) continue;
      source.push_back(slot);
      target.push_back(of_to.Slot(row));
    }
    if (source.empty()) continue;
    to.index_copy_(
        0, kernels::TensorOf(target).to(to.device()),
        from.index_select(0, kernels::TensorOf(source).to(from.device())).to(to.device()));
  }
}

}  // namespace torii::trainer
