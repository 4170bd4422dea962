#include "trainer/train_step.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"
#include "model/softmax_loss.h"
#include "trainer/batch_queries.h"
#include "trainer/tensor_view.h"

namespace torii::trainer {
namespace {

// This rank's columns of the candidates: the distinct items that live here.
std::span<const int64_t> OwnColumns(const sampler::Candidates& candidates, int rank) {
  const auto& counts = candidates.owner_columns;
  const int64_t begin = std::accumulate(counts.begin(), counts.begin() + rank, int64_t{0});
  return SpanOf(candidates.rows)
      .subspan(static_cast<size_t>(begin), static_cast<size_t>(counts[static_cast<size_t>(rank)]));
}

// [B]
at::Tensor ScaledBy(double factor, const std::vector<float>& weights) {
  at::Tensor scaled = at::empty({std::ssize(weights)}, at::kFloat);
  std::transform(weights.begin(), weights.end(), scaled.mutable_data_ptr<float>(),
                 [scale = static_cast<float>(factor)](float weight) { return weight * scale; });
  return scaled;
}

// The loss of this rank's rows over the columns they see, and its gradients dQ [B, D], dV [U, D].
absl::StatusOr<model::SoftmaxResult> LossOverColumns(model::SoftmaxLoss& loss, const at::Tensor& q,
                                                     const at::Tensor& v,
                                                     const sampler::Candidates& candidates,
                                                     const data::Batch& batch,
                                                     const BatchQueries& queries,
                                                     const StepOptions& options) {
  const double scale = candidates.weight_sum > 0 ? 1.0 / candidates.weight_sum : 0.0;
  const bool all = !candidates.seen_columns.defined();
  model::SoftmaxProblem problem{
      .q = q,
      .v = all ? v : v.index_select(0, candidates.seen_columns),
      .column_offset = candidates.column_offset,
      .row_begin = queries.row_begin.empty() ? at::Tensor() : ViewOf(queries.row_begin),
      .positive = candidates.positive,
      .positive_offset = candidates.positive_offset,
      .target_offset = candidates.target_offset,
      .weight = ScaledBy(scale, batch.weights),
      .excluded_begin = candidates.excluded_begin,
      .excluded = candidates.excluded,
      .temperature = options.temperature,
  };
  TORII_ASSIGN_OR_RETURN(model::SoftmaxResult result, loss.Compute(problem));
  if (!all) {
    result.v_grad = at::zeros_like(v).index_copy_(0, candidates.seen_columns, result.v_grad);
  }
  return result;
}

// From the towers' vectors to what they were made of, users before items.
void Backward(const TowerPass& users, const at::Tensor& q_grad, const TowerPass& items,
              const at::Tensor& v_grad) {
  std::vector<at::Tensor> vectors, gradients;
  for (const auto& [pass, gradient] : {std::pair(&items, &v_grad), std::pair(&users, &q_grad)}) {
    if (!pass->vectors.requires_grad()) continue;
    vectors.push_back(pass->vectors);
    gradients.push_back(*gradient);
  }
  if (!vectors.empty()) torch::autograd::backward(vectors, gradients);
}

// Sums the dense gradient and the loss over the ranks, in one all-reduce. The loss of several ranks
// is thereby rounded to float32.
absl::StatusOr<double> SumOverRanks(comm::Communicator& comm, double loss,
                                    model::DenseParameters& dense) {
  if (comm.world_size() == 1) return loss;
  float* const place = dense.bucket().data_ptr<float>() + dense.size();
  *place = static_cast<float>(loss);
  TORII_RETURN_IF_ERROR(comm.AllReduce(dense.bucket(), comm::ReduceOp::kSum));
  return static_cast<double>(*place);
}

// In double over short sums in float, in a fixed order.
double Norm(std::span<const float> values) {
  constexpr size_t kShort = 256;
  double squares = 0;
  for (size_t begin = 0; begin < values.size(); begin += kShort) {
    const std::span<const float> part =
        values.subspan(begin, std::min(kShort, values.size() - begin));
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < part.size(); ++i) sum += part[i] * part[i];
    squares += static_cast<double>(sum);
  }
  return std::sqrt(squares);
}

// Clips the dense gradient to a global norm; returns the norm before.
double ClipGradient(at::Tensor& gradient, double clip_norm) {
  const double norm =
      Norm({gradient.const_data_ptr<float>(), static_cast<size_t>(gradient.numel())});
  if (clip_norm > 0 && norm > clip_norm) gradient.mul_(clip_norm / norm);
  return norm;
}

absl::Status CheckFinite(const StepResult& result, int64_t step) {
  if (std::isfinite(result.loss) && std::isfinite(result.gradient_norm)) return absl::OkStatus();
  return DivergedError(absl::StrCat(
      "step ", step, ": loss ", result.loss, ", dense gradient norm ", result.gradient_norm,
      " are not finite; nothing was updated. Lower the learning rates, raise model.temperature, or "
      "set train.clip_norm"));
}

}  // namespace

absl::StatusOr<StepResult> TrainStep(const StepParts& parts, const data::Batch& batch,
                                     const StepOptions& options, int64_t step,
                                     double learning_rate_factor, StepTime* time) {
  TORII_FAILPOINT("trainer.step");
  TwoTower& towers = parts.towers;
  comm::Communicator& comm = towers.comm();
  StepClock clock(time);

  // All ranks agree on the columns: U distinct items, ordered by their owner, with log Q.
  clock.Begin(&StepTime::exchange, "candidates");
  const BatchQueries queries = QueriesOf(batch, towers.net().users_have_one_vector());
  TORII_ASSIGN_OR_RETURN(
      const sampler::Candidates candidates,
      parts.sampler.Draw(
          comm, step, {batch.items, batch.weights, queries.row_begin}, [&](int64_t query) {
            return towers.dataset().train().ItemsOf(queries.users[static_cast<size_t>(query)]);
          }));

  // The owner computes the vectors of its own columns, V_r [U_r, D]; every rank gets all, V [U, D].
  clock.Begin(&StepTime::towers, "item vectors");
  TORII_ASSIGN_OR_RETURN(TowerPass items, towers.OwnedItems(OwnColumns(candidates, comm.rank()),
                                                            PassKind::kTraining, step));
  clock.Begin(&StepTime::exchange, "all-gather");
  TORII_ASSIGN_OR_RETURN(const at::Tensor v, comm.AllGatherV(items.vectors.detach().contiguous(),
                                                             candidates.owner_columns));

  // The rows of this rank's users come from their owners: Q [R, D], R = B unless rows share a user.
  clock.Begin(&StepTime::towers, "user vectors");
  TORII_ASSIGN_OR_RETURN(
      TowerPass users,
      towers.Users(queries.users, batch.history, queries.dropout_key, PassKind::kTraining, step));

  // Loss and its gradients, tile by tile; dV goes back to the owners, summed over the ranks.
  clock.Begin(&StepTime::loss, "loss");
  TORII_ASSIGN_OR_RETURN(
      const model::SoftmaxResult loss,
      LossOverColumns(parts.loss, users.vectors.detach(), v, candidates, batch, queries, options));
  clock.Begin(&StepTime::exchange, "reduce-scatter");
  TORII_ASSIGN_OR_RETURN(const at::Tensor v_grad,
                         comm.ReduceScatterV(loss.v_grad, candidates.owner_columns));

  // Backward through both towers: into the looked-up rows and the dense gradient.
  clock.Begin(&StepTime::towers, "backward");
  towers.net().dense().ZeroGrad();
  Backward(users, loss.q_grad, items, v_grad);

  // Dense gradients and the loss are sums over ranks.
  clock.Begin(&StepTime::exchange, "all-reduce");
  StepResult result{.weight_sum = candidates.weight_sum, .columns = candidates.rows.size(0)};
  TORII_ASSIGN_OR_RETURN(result.loss, SumOverRanks(comm, loss.loss, towers.net().dense()));
  result.gradient_norm = ClipGradient(towers.net().dense().grad(), options.clip_norm);
  if (options.check_finite) TORII_RETURN_IF_ERROR(CheckFinite(result, step));

  // Every touched table row and every dense weight is updated once.
  clock.Begin(&StepTime::update, "update");
  const PassLookups* const passes[] = {&users.rows, &items.rows};
  TORII_RETURN_IF_ERROR(towers.tables().Update(passes, learning_rate_factor, step));
  parts.dense_optimizer.Step(learning_rate_factor, step);
  return result;
}

}  // namespace torii::trainer
