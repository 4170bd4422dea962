#include "trainer/step/train_step.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "base/status_macros.h"
#include "kernels/dense_weights.h"
#include "trainer/step/dense_gradient.h"
#include "trainer/step/step_loss.h"

namespace torii::trainer {
namespace {

// From the towers' vectors to what they were made of, users before items.
void Backward(const at::Tensor& users, const at::Tensor& q_grad, const at::Tensor& items,
              const at::Tensor& v_grad) {
  std::vector<at::Tensor> vectors, gradients;
  for (const auto& [vector, gradient] : {std::pair(&items, &v_grad), std::pair(&users, &q_grad)}) {
    if (!vector->requires_grad()) continue;
    vectors.push_back(*vector);
    gradients.push_back(*gradient);
  }
  if (!vectors.empty()) torch::autograd::backward(vectors, gradients);
}

}  // namespace

absl::StatusOr<PendingStep> ComputeStep(const StepParts& parts, StepPlan& plan,
                                        const StepOptions& options, double learning_rate_factor,
                                        StepTime* time) {
  TORII_FAILPOINT("trainer.step");
  TwoTower& towers = parts.towers;
  comm::Communicator& comm = towers.comm();
  model::DenseParameters& dense = towers.net().dense();
  const kernels::Device& device = dense.device();
  StepClock clock(time);

  // The owner computes the vectors of its own columns, V_r [U_r, D]; they go to the ranks that
  // score them, V [U, D].
  clock.Begin(&StepTime::towers, "item vectors");
  TORII_ASSIGN_OR_RETURN(const TowerPass items,
                         towers.Forward(plan.items, PassKind::kTraining, plan.step));
  clock.Begin(&StepTime::exchange, "send columns");
  TORII_ASSIGN_OR_RETURN(const SentColumns columns,
                         SendColumns(comm, plan.columns, items.vectors, device));

  // The rows of this rank's users come from their owners: Q [R, D], R = B unless rows share a user.
  clock.Begin(&StepTime::towers, "user vectors");
  TORII_ASSIGN_OR_RETURN(const TowerPass users,
                         towers.Forward(plan.users, PassKind::kTraining, plan.step));

  // Loss and its gradients, tile by tile; dV goes back to the owners.
  clock.Begin(&StepTime::loss, "loss");
  dense.ZeroGrad();
  PendingStep pending;
  pending.step = plan.step;
  pending.weight_sum = plan.candidates.weight_sum;
  pending.columns = plan.candidates.num_columns();
  pending.input = LossInputOf(plan, users.vectors.detach(), columns.v, parts.past_vectors,
                              towers.net().scorer(), device);
  TORII_ASSIGN_OR_RETURN(const model::LossResult loss,
                         LossOverRanks(comm, parts.loss, plan, pending.input));
  clock.Begin(&StepTime::exchange, "return gradients");
  TORII_ASSIGN_OR_RETURN(const at::Tensor v_grad, ReturnGradients(comm, plan.columns, loss.v_grad));

  // Backward through both towers: into the looked-up rows and the dense gradient.
  clock.Begin(&StepTime::towers, "backward");
  Backward(users.vectors, loss.q_grad, columns.sent, v_grad);

  // Dense gradients and the loss are sums over ranks.
  clock.Begin(&StepTime::exchange, "all-reduce");
  TORII_ASSIGN_OR_RETURN(pending.loss, SumOverRanks(comm, loss.value, dense));
  pending.gradient_norm = kernels::ClipGradient(device, dense.grad(), options.clip_norm);

  // Every touched table row and every dense weight is updated once, if all numbers are finite.
  clock.Begin(&StepTime::update, "update");
  kernels::UpdateTerms terms{learning_rate_factor, plan.step};
  if (options.check_finite) {
    terms.gate = towers.gate().CloseUnlessFinite(pending.loss, pending.gradient_norm);
  }
  const FetchedPass* const passes[] = {&users.rows, &items.rows};
  TORII_RETURN_IF_ERROR(towers.tables().Update(comm, plan.updates, passes, terms));
  parts.dense_optimizer.Step(terms);
  parts.past_vectors.Keep(columns.v, plan.loss.past, terms.gate);
  return pending;
}

}  // namespace torii::trainer
