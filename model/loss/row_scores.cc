#include "model/loss/row_scores.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "kernels/host_tensors.h"
#include "model/loss/row_queries.h"
#include "model/pool_rows.h"

namespace torii::model {
namespace {

RowScores ScoresOf(const LossInput& input, const at::Tensor& q, const at::Tensor& v) {
  const int64_t rows = input.rows.rows(), per_row = input.negatives.size(1);
  const at::Tensor of_row = RowQueries(input.rows, q, input.device);
  const Scorer& scorer = *input.scorer;
  RowScores scores;
  const at::Tensor columns = input.negatives.clamp_min(0).flatten();
  scores.exists = (input.negatives >= 0).to(at::kFloat);
  const at::Tensor positive = PickRows(v, input.positive, input.device);
  const at::Tensor negatives = PickRows(v, columns, input.device);
  if (!scorer.is_inner_product()) {
    const at::Tensor repeated =
        of_row.unsqueeze(1).expand({rows, per_row, v.size(1)}).flatten(0, 1);
    scores.positive = scorer.PairScores(of_row, positive);
    scores.negatives = scorer.PairScores(repeated, negatives).view({rows, per_row}) * scores.exists;
    return scores;
  }
  const double divisor = scorer.divisor();
  scores.positive = (of_row * positive).sum(1) / divisor;
  scores.negatives =
      at::bmm(negatives.view({rows, per_row, v.size(1)}), of_row.unsqueeze(2)).squeeze(2) /
      divisor * scores.exists;
  return scores;
}

void Check(const LossInput& input) {
  TORII_CHECK(input.negatives.defined() && input.negatives.dim() == 2 &&
                  input.negatives.size(0) == input.rows.rows(),
              "the rows have no negatives of their own");
}

}  // namespace

LossResult DifferentiateRows(const LossInput& input,
                             const std::function<at::Tensor(const RowScores&)>& row_loss) {
  Check(input);
  LossResult result{at::zeros({}, input.q.options().dtype(at::kDouble)), at::zeros_like(input.q),
                    at::zeros_like(input.v)};
  if (input.rows.rows() == 0) return result;
  const at::AutoGradMode grad(true);
  const at::Tensor q = input.q.detach().requires_grad_(), v = input.v.detach().requires_grad_();
  const at::Tensor loss = (row_loss(ScoresOf(input, q, v)) * input.weight).sum(at::kDouble);
  torch::autograd::backward({loss}, {at::ones_like(loss)});
  result.value = loss.detach();
  if (q.grad().defined()) result.q_grad = q.grad();
  if (v.grad().defined()) result.v_grad = v.grad();
  return result;
}

std::string ExplainRows(const LossInput& input,
                        const std::function<at::Tensor(const RowScores&)>& row_loss) {
  const at::NoGradGuard no_grad;
  if (input.rows.rows() == 0) return "";
  const RowScores scores = ScoresOf(input, input.q, input.v);
  const at::Tensor loss = row_loss(scores);
  const at::Tensor bad = at::isfinite(loss).logical_not_().nonzero();
  if (bad.size(0) == 0) return "";
  const int64_t row = kernels::ListOf<int64_t>(bad)[0];
  const auto number = [row](const at::Tensor& of_rows) { return kernels::NumberOf(of_rows[row]); };
  return absl::StrCat("the loss of row ", row, " of ", input.rows.rows(), " is ", number(loss),
                      " (score of its positive ", number(scores.positive),
                      ", largest of its negatives ", kernels::NumberOf(scores.negatives[row].max()),
                      ")");
}

}  // namespace torii::model
