#include "model/loss/bpr.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "model/loss/row_scores.h"

namespace torii::model {
namespace {

at::Tensor RowLoss(const RowScores& scores) {
  const at::Tensor behind = scores.negatives - scores.positive.unsqueeze(1);
  return (at::softplus(behind) * scores.exists).sum(1) / scores.exists.sum(1).clamp_min(1);
}

}  // namespace

absl::StatusOr<Reduction> BprLoss::Partial(const LossInput&, std::span<const at::Tensor>) {
  TORII_CHECK(false, "BPR reduces nothing");
}

absl::StatusOr<LossResult> BprLoss::Finish(const LossInput& input, std::span<const at::Tensor>) {
  return DifferentiateRows(input, RowLoss);
}

std::string BprLoss::Explain(const LossInput& input) { return ExplainRows(input, RowLoss); }

std::string BprLoss::Description() const {
  return absl::StrCat("BPR, ", config_.negatives(), " negatives of each row");
}

}  // namespace torii::model
