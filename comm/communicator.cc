#include "comm/communicator.h"

#include <ATen/ATen.h>

#include <vector>

#include "base/exit_code.h"

namespace torii::comm {

absl::StatusOr<at::Tensor> AllGatherRows(Communicator& comm, const at::Tensor& in) {
  if (!in.defined() || in.dim() == 0) {
    return InternalError("AllGatherRows: the tensor has no first dimension");
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> rows,
                         AllGatherValue(comm.control(), int64_t{in.size(0)}));
  return comm.AllGatherV(in, rows);
}

}  // namespace torii::comm
