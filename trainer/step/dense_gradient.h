// The sum of the dense gradients over the ranks, between backward and update.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "model/dense_parameters.h"

namespace torii::trainer {

// Sums the dense gradient and `loss` ([] float64) over the ranks, in one all-reduce. Returns the
// sum of the losses, one float64; with several ranks it is rounded to float32 on its way.
// Collective.
absl::StatusOr<at::Tensor> SumOverRanks(comm::Communicator& comm, const at::Tensor& loss,
                                        model::DenseParameters& dense);

}  // namespace torii::trainer
