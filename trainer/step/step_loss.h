// Computes the loss and its gradients from the plan of a step and the vectors of both towers.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "model/loss/loss.h"
#include "trainer/step/past_vectors.h"
#include "trainer/step/step_plan.h"

namespace torii::trainer {

// q: [R, D] of this rank's queries; v: [U, D] of the columns of the step, behind which the past ones
// come. The result borrows the plan's memory.
model::LossInput LossInputOf(const StepPlan& plan, const at::Tensor& q, const at::Tensor& v,
                             const PastVectors& past, std::shared_ptr<const model::Scorer> scorer,
                             const kernels::Device& device);

// This rank's part of the loss. q_grad: gradient of the queries that LossInputOf got. v_grad: of
// all columns of the step, [U, D], also if this rank's rows see only some. Collective if the loss needs sums or
// maxima over the ranks.
absl::StatusOr<model::LossResult> LossOverRanks(comm::Communicator& comm, model::Loss& loss,
                                                const StepPlan& plan,
                                                const model::LossInput& input);

}  // namespace torii::trainer
