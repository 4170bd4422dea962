#include "trainer/step/step_loss.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "kernels/host_tensors.h"

namespace torii::trainer {
namespace {

// [B]
at::Tensor ScaledBy(double factor, const std::vector<float>& weights) {
  kernels::FilledTensor<float> scaled(std::ssize(weights));
  std::transform(weights.begin(), weights.end(), scaled.values().begin(),
                 [scale = static_cast<float>(factor)](float weight) { return weight * scale; });
  return scaled.take();
}

// The item rows of the columns that this rank's rows see.
at::Tensor ItemsOf(const sampler::Candidates& candidates) {
  const at::Tensor& seen = candidates.seen_columns;
  const at::Tensor items = seen.defined() ? candidates.rows.index_select(0, seen) : candidates.rows;
  const at::Tensor& past = candidates.past.items;
  return past.defined() && past.size(0) > 0 ? at::cat({items, past}) : items;
}

comm::ReduceOp OpOf(model::Reduction::Op op) {
  return op == model::Reduction::Op::kMax ? comm::ReduceOp::kMax : comm::ReduceOp::kSum;
}

}  // namespace

model::LossInput LossInputOf(const StepPlan& plan, const at::Tensor& q, const at::Tensor& v,
                             const PastVectors& past, std::shared_ptr<const model::Scorer> scorer,
                             const kernels::Device& device) {
  const sampler::Candidates& candidates = plan.candidates;
  const at::Tensor& seen = candidates.seen_columns;
  const double scale = candidates.weight_sum > 0 ? 1.0 / candidates.weight_sum : 0.0;
  return {.q = scorer->ScaleQueries(q),
          .v = past.Behind(seen.defined() ? v.index_select(0, seen) : v, candidates.past),
          .rows = plan.queries.rows,
          .weight = ScaledBy(scale, plan.batch.weights),
          .items = ItemsOf(candidates),
          .positive = candidates.positive,
          .negatives = candidates.negatives,
          .facts = candidates.facts,
          .excluded = {candidates.excluded_begin, candidates.excluded},
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
  if (const at::Tensor& seen = plan.candidates.seen_columns; seen.defined()) {
    const at::Tensor all = at::zeros({columns, input.v.size(1)}, input.v.options());
    result.v_grad = all.index_copy(0, seen, result.v_grad.narrow(0, 0, seen.size(0)));
  } else {
    result.v_grad = result.v_grad.narrow(0, 0, columns);
  }
  return result;
}

}  // namespace torii::trainer
