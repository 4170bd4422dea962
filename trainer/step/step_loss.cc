#include "trainer/step/step_loss.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "base/status_macros.h"

namespace torii::trainer {
namespace {

comm::ReduceOp OpOf(model::Reduction::Op op) {
  return op == model::Reduction::Op::kMax ? comm::ReduceOp::kMax : comm::ReduceOp::kSum;
}

}  // namespace

model::LossInput LossInputOf(const StepPlan& plan, const at::Tensor& q, const at::Tensor& v,
                             const PastVectors& past, std::shared_ptr<const model::Scorer> scorer,
                             const kernels::Device& device) {
  const LossPlan& loss = plan.loss;
  return {.q = scorer->ScaleQueries(q),
          .v = past.Behind(loss.seen.defined() ? v.index_select(0, loss.seen) : v, loss.past),
          .rows = plan.queries.rows,
          .weight = loss.weight,
          .items = loss.items,
          .positive = loss.positive,
          .negatives = loss.negatives,
          .facts = loss.facts,
          .excluded = loss.excluded,
          .scorer = std::move(scorer),
          .device = device};
}

absl::StatusOr<model::LossResult> LossOverRanks(comm::Communicator& comm, model::Loss& loss,
                                                const StepPlan& plan,
                                                const model::LossInput& input) {
  std::vector<at::Tensor> reduced;
  for (int k = 0; k < loss.num_reductions(); ++k) {
    TORII_ASSIGN_OR_RETURN(model::Reduction partial, loss.Partial(input, reduced));
    TORII_RETURN_IF_ERROR(comm.AllReduce(partial.tensor, OpOf(partial.op)));
    reduced.push_back(std::move(partial.tensor));
  }
  TORII_ASSIGN_OR_RETURN(model::LossResult result, loss.Finish(input, reduced));
  result.q_grad = input.scorer->QueryGradient(input.q, result.q_grad);
  // Back to the columns of the step: what the past ones got goes nowhere.
  const int64_t columns = plan.candidates.rows.size(0);
  if (const at::Tensor& seen = plan.loss.seen; seen.defined()) {
    const at::Tensor all = at::zeros({columns, input.v.size(1)}, input.v.options());
    result.v_grad = all.index_copy(0, seen, result.v_grad.narrow(0, 0, seen.size(0)));
  } else {
    result.v_grad = result.v_grad.narrow(0, 0, columns);
  }
  return result;
}

}  // namespace torii::trainer
