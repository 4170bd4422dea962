#include "trainer/step/dense_gradient.h"

#include <ATen/ATen.h>

#include "base/status_macros.h"

namespace torii::trainer {

absl::StatusOr<at::Tensor> SumOverRanks(comm::Communicator& comm, const at::Tensor& loss,
                                        model::DenseParameters& dense) {
  if (comm.world_size() == 1) return loss;
  at::Tensor place = dense.bucket().narrow(0, dense.size(), 1);
  place.copy_(loss);
  TORII_RETURN_IF_ERROR(comm.AllReduce(dense.bucket(), comm::ReduceOp::kSum));
  return place.to(at::kDouble);  // the next step writes to the bucket
}

}  // namespace torii::trainer
