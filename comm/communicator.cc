#include "comm/communicator.h"

#include <ATen/ATen.h>

#include <vector>

#include "base/exit_code.h"
#include "comm/call.h"

namespace torii::comm {
namespace {

// What a rank alone in its world gets, for reading: `in`, with the checks that every world makes.
absl::StatusOr<at::Tensor> Itself(Op op, const at::Tensor& in, std::span<const int64_t> rows,
                                  std::span<const int64_t> recv_rows = {}) {
  TORII_RETURN_IF_ERROR(CheckTensor(op, in));
  TORII_RETURN_IF_ERROR(
      CheckCall(DescribeCall(op, /*sequence=*/0, in, rows, recv_rows), Rank{0}, WorldSize{1}));
  return in;
}

}  // namespace

absl::StatusOr<at::Tensor> AllGatherRows(Communicator& comm, const at::Tensor& in) {
  if (!in.defined() || in.dim() == 0) {
    return InternalError("AllGatherRows: the tensor has no first dimension");
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> rows,
                         AllGatherValue(comm.control(), int64_t{in.size(0)}));
  return comm.AllGatherV(in, rows);
}

absl::StatusOr<at::Tensor> AllGatherForReading(Communicator& comm, const at::Tensor& in,
                                               std::span<const int64_t> rows) {
  if (comm.world_size() == 1) return Itself(Op::kAllGatherV, in, rows);
  return comm.AllGatherV(in, rows);
}

absl::StatusOr<at::Tensor> ReduceScatterForReading(Communicator& comm, const at::Tensor& in,
                                                   std::span<const int64_t> rows) {
  if (comm.world_size() == 1) return Itself(Op::kReduceScatterV, in, rows);
  return comm.ReduceScatterV(in, rows);
}

absl::StatusOr<at::Tensor> AllToAllForReading(Communicator& comm, const at::Tensor& in,
                                              std::span<const int64_t> send_rows,
                                              std::span<const int64_t> recv_rows) {
  if (comm.world_size() == 1) return Itself(Op::kAllToAllV, in, send_rows, recv_rows);
  return comm.AllToAllV(in, send_rows, recv_rows);
}

}  // namespace torii::comm
