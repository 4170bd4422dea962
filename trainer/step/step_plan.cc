#include "trainer/step/step_plan.h"

#include <utility>

#include "base/status_macros.h"

namespace torii::trainer {

absl::StatusOr<StepPlan> PlanStep(comm::Communicator& comm, const StepToPlan& what,
                                  data::Batch batch, int64_t step) {
  StepPlan plan;
  plan.step = step;
  plan.batch = std::move(batch);
  plan.queries = QueriesOf(plan.batch, what.share_user_vectors);
  const sampler::StepRows rows{plan.batch.items, plan.batch.weights, plan.queries.rows,
                               plan.batch.first_position};
  const auto known = [&](int64_t query) {
    return what.dataset.train().ItemsOf(plan.queries.users[static_cast<size_t>(query)]);
  };
  TORII_ASSIGN_OR_RETURN(
      plan.candidates,
      what.sampler.Draw(comm, what.corpus, step, rows,
                        {what.needs.all_columns, what.needs.negatives_per_row}, known));
  TORII_ASSIGN_OR_RETURN(plan.columns, PlanColumns(comm, plan.candidates));
  return plan;
}

}  // namespace torii::trainer
