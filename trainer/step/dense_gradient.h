// The gradient of the dense weights between backward and update: its sum over the ranks.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "model/dense_parameters.h"

namespace torii::trainer {

// Sums the dense gradient and `loss` ([] float64) over the ranks, in one all-reduce. Returns the
// loss of all ranks, one number; that of several ranks is thereby rounded to float32. Collective.
absl::StatusOr<at::Tensor> SumOverRanks(comm::Communicator& comm, const at::Tensor& loss,
                                        model::DenseParameters& dense);

}  // namespace torii::trainer
