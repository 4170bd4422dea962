#include "model/loss/bce.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "model/loss/row_scores.h"

namespace torii::model {
namespace {

at::Tensor RowLoss(const RowScores& scores) {
  const at::Tensor negatives = (at::softplus(scores.negatives) * scores.exists).sum(1);
  return (at::softplus(-scores.positive) + negatives) / (1 + scores.exists.sum(1));
}

}  // namespace

absl::StatusOr<Reduction> BceLoss::Partial(const LossInput&, std::span<const at::Tensor>) {
  TORII_CHECK(false, "binary cross-entropy reduces nothing");
}

absl::StatusOr<LossResult> BceLoss::Finish(const LossInput& input, std::span<const at::Tensor>) {
  return DifferentiateRows(input, RowLoss);
}

std::string BceLoss::Explain(const LossInput& input) { return ExplainRows(input, RowLoss); }

std::string BceLoss::Description() const {
  return absl::StrCat("binary cross-entropy, ", config_.negatives(), " negatives of each row");
}

}  // namespace torii::model
