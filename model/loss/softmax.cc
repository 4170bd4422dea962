#include "model/loss/softmax.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "model/loss/composed_softmax.h"
#include "model/loss/log_q.h"

namespace torii::model {

SoftmaxLoss::SoftmaxLoss(const SoftmaxConfig& config, const kernels::Device& device)
    : config_(config),
      fused_(config.precision() == SoftmaxConfig::BFLOAT16 ? kernels::SoftmaxPrecision::kBfloat16
                                                           : kernels::SoftmaxPrecision::kFloat32,
             device) {}

SoftmaxProblem SoftmaxLoss::ProblemOf(const LossInput& input) const {
  LogQ log_q = LogQOf(config_, input.facts, input.positive);
  return {.q = input.q,
          .v = input.v,
          .column_offset = std::move(log_q.column_offset),
          .rows = input.rows,
          .positive = input.positive,
          .positive_offset = std::move(log_q.positive_offset),
          .target_offset = std::move(log_q.target_offset),
          .weight = input.weight,
          .excluded_begin = input.excluded.begin,
          .excluded = input.excluded.columns,
          .temperature = input.scorer->divisor(),
          .device = input.device};
}

absl::StatusOr<Reduction> SoftmaxLoss::Partial(const LossInput&, std::span<const at::Tensor>) {
  TORII_CHECK(false, "the softmax over columns reduces nothing");
}

absl::StatusOr<LossResult> SoftmaxLoss::Finish(const LossInput& input,
                                               std::span<const at::Tensor>) {
  const SoftmaxProblem problem = ProblemOf(input);
  SoftmaxResult result = input.scorer->is_inner_product() ? fused_.Compute(problem)
                                                          : ComposedSoftmax(*input.scorer, problem);
  return LossResult{std::move(result.value), std::move(result.q_grad), std::move(result.v_grad)};
}

std::string SoftmaxLoss::Explain(const LossInput& input) {
  const SoftmaxProblem problem = ProblemOf(input);
  return input.scorer->is_inner_product() ? fused_.Explain(problem)
                                          : ExplainSoftmax(*input.scorer, problem);
}

std::string SoftmaxLoss::Description() const {
  std::string text =
      absl::StrCat("softmax, pairing ", SoftmaxConfig::Pairing_Name(config_.pairing()),
                   config_.log_q() ? ", corrected" : ", not corrected");
  if (config_.log_q() && config_.uncorrected_size() > 0) {
    absl::StrAppend(&text, " except ", absl::StrJoin(config_.uncorrected(), " and "));
  }
  return absl::StrCat(text, ", ", fused_.Description());
}

}  // namespace torii::model
