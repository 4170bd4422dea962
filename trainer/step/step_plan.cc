#include "trainer/step/step_plan.h"

#include <utility>

#include "base/status_macros.h"
#include "kernels/uploads.h"

namespace torii::trainer {
namespace {

absl::StatusOr<sampler::Candidates> DrawCandidates(comm::Communicator& comm, const PlanParts& parts,
                                                   const StepPlan& plan) {
  const data::Interactions& train = parts.towers.dataset().train();
  const auto known = [&](int64_t query) {
    return train.ItemsOf(plan.queries.users[static_cast<size_t>(query)]);
  };
  return parts.sampler.Draw(
      comm, parts.towers.corpus(), plan.step,
      {plan.batch.items, plan.batch.weights, plan.queries.rows, plan.batch.first_position},
      {parts.needs.all_columns, parts.needs.negatives_per_row}, known);
}

}  // namespace

absl::Status PlanStep(comm::Communicator& comm, const PlanParts& parts, data::Batch batch,
                      int64_t step, StepPlan* plan, StepTime* time) {
  StepClock clock(time);
  clock.Begin(&StepTime::plan, "plan");
  TwoTower& towers = parts.towers;
  kernels::Uploads uploads(towers.device());
  plan->step = step;
  plan->batch = std::move(batch);
  plan->queries = QueriesOf(plan->batch, towers.net().users_have_one_vector());

  // The items that the queries are scored against, and which rank computes the vector of each.
  TORII_ASSIGN_OR_RETURN(plan->candidates, DrawCandidates(comm, parts, *plan));
  TORII_ASSIGN_OR_RETURN(plan->columns, PlanColumns(comm, plan->candidates, towers.device()));
  plan->loss = PlanLoss(plan->candidates, plan->batch.weights, towers.device());

  // The rows of tables that both towers look up, and the order of their updates.
  TORII_RETURN_IF_ERROR(towers.PlanOwnedItems(comm, plan->columns.owned, &plan->items));
  TORII_RETURN_IF_ERROR(towers.PlanUsers(
      comm, {plan->queries.users, &plan->batch.history, plan->queries.dropout_key}, &plan->users));
  const PassPlan* const passes[] = {&plan->users, &plan->items};
  TORII_RETURN_IF_ERROR(towers.tables().PlanUpdate(comm, passes, &plan->updates));

  // All lists of the plan go to the device at once.
  uploads.Send();
  return absl::OkStatus();
}

}  // namespace torii::trainer
