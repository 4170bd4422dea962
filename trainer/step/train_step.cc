#include "trainer/step/train_step.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"
#include "kernels/dense_weights.h"
#include "kernels/host_tensors.h"
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

absl::Status CheckFinite(const StepResult& result, const StepPlan& plan, model::Loss& loss,
                         const model::LossInput& input) {
  if (std::isfinite(result.loss) && std::isfinite(result.gradient_norm)) return absl::OkStatus();
  const std::string why = loss.Explain(input);
  return DivergedError(
      absl::StrCat("step ", plan.step, ": loss ", result.loss, ", dense gradient norm ",
                   result.gradient_norm, " are not finite", why.empty() ? "" : ": ", why,
                   "; nothing was updated. Lower the learning rates, raise the temperature, set "
                   "train.clip_norm, or look for extreme values in the features"));
}

}  // namespace

absl::StatusOr<StepPlan> PlanStep(const StepParts& parts, data::Batch batch, int64_t step,
                                  StepTime* time) {
  StepClock clock(time);
  clock.Begin(&StepTime::exchange, "plan");
  TwoTower& towers = parts.towers;
  return PlanStep(towers.comm(),
                  {towers.dataset(), parts.sampler, parts.loss.needs(), towers.corpus(),
                   towers.net().users_have_one_vector()},
                  std::move(batch), step);
}

absl::StatusOr<StepResult> ComputeStep(const StepParts& parts, const StepPlan& plan,
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
  TORII_ASSIGN_OR_RETURN(TowerPass items,
                         towers.OwnedItems(plan.columns.owned, PassKind::kTraining, plan.step));
  clock.Begin(&StepTime::exchange, "send columns");
  TORII_ASSIGN_OR_RETURN(const SentColumns columns,
                         SendColumns(comm, plan.columns, items.vectors, device));

  // The rows of this rank's users come from their owners: Q [R, D], R = B unless rows share a user.
  clock.Begin(&StepTime::towers, "user vectors");
  TORII_ASSIGN_OR_RETURN(TowerPass users,
                         towers.Users(plan.queries.users, plan.batch.history,
                                      plan.queries.dropout_key, PassKind::kTraining, plan.step));

  // Loss and its gradients, tile by tile; dV goes back to the owners.
  clock.Begin(&StepTime::loss, "loss");
  dense.ZeroGrad();
  const model::LossInput input =
      LossInputOf(plan, users.vectors.detach(), columns.v, towers.net().scorer(), device);
  TORII_ASSIGN_OR_RETURN(const model::LossResult loss,
                         LossOverRanks(comm, parts.loss, plan, input));
  clock.Begin(&StepTime::exchange, "return gradients");
  TORII_ASSIGN_OR_RETURN(const at::Tensor v_grad, ReturnGradients(comm, plan.columns, loss.v_grad));

  // Backward through both towers: into the looked-up rows and the dense gradient.
  clock.Begin(&StepTime::towers, "backward");
  Backward(users.vectors, loss.q_grad, columns.sent, v_grad);

  // Dense gradients and the loss are sums over ranks.
  clock.Begin(&StepTime::exchange, "all-reduce");
  StepResult result{.weight_sum = plan.candidates.weight_sum,
                    .columns = plan.candidates.rows.size(0)};
  TORII_ASSIGN_OR_RETURN(const at::Tensor value, SumOverRanks(comm, loss.value, dense));
  const at::Tensor norm = kernels::ClipGradient(device, dense.grad(), options.clip_norm);
  result.loss = kernels::NumberOf(value);
  result.gradient_norm = kernels::NumberOf(norm);
  if (options.check_finite) TORII_RETURN_IF_ERROR(CheckFinite(result, plan, parts.loss, input));

  // Every touched table row and every dense weight is updated once.
  clock.Begin(&StepTime::update, "update");
  const PassLookups* const passes[] = {&users.rows, &items.rows};
  TORII_RETURN_IF_ERROR(
      towers.tables().PlanAndUpdate(comm, passes, learning_rate_factor, plan.step));
  parts.dense_optimizer.Step(learning_rate_factor, plan.step);
  return result;
}

absl::StatusOr<StepResult> TrainStep(const StepParts& parts, data::Batch batch,
                                     const StepOptions& options, int64_t step,
                                     double learning_rate_factor, StepTime* time) {
  TORII_ASSIGN_OR_RETURN(const StepPlan plan, PlanStep(parts, std::move(batch), step, time));
  return ComputeStep(parts, plan, options, learning_rate_factor, time);
}

}  // namespace torii::trainer
