// From the plan of a step and the vectors of both towers to the loss over all ranks and its
// gradients.
#pragma once

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "model/loss/loss.h"
#include "trainer/step/step_plan.h"

namespace torii::trainer {

// q: [R, D] of this rank's queries; v: [U, D] of the columns. Looks at the plan's memory.
model::LossInput LossInputOf(const StepPlan& plan, const at::Tensor& q, const at::Tensor& v,
                             std::shared_ptr<const model::Scorer> scorer,
                             const kernels::Device& device);

// This rank's part of the loss. q_grad is of the queries that LossInputOf got; v_grad is of all
// columns, [U, D], also where this rank's rows see only some. Collective: what the loss needs
// reduced.
absl::StatusOr<model::LossResult> LossOverRanks(comm::Communicator& comm, model::Loss& loss,
                                                const StepPlan& plan,
                                                const model::LossInput& input);

}  // namespace torii::trainer
