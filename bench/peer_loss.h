// The loss of the peers' benchmarks.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "kernels/host_tensors.h"
#include "model/loss/fused_softmax.h"
#include "model/loss/loss.h"

namespace torii::bench {

// The peers correct every logit, the positive's too, by the log Q they were given, and mask
// accidental hits: a loss of its own, since Torii offers no such pairing.
class PeerLoss final : public model::Loss {
 public:
  PeerLoss(bool bf16, const at::Tensor& log_q, const kernels::Device& device)
      : fused_(bf16 ? kernels::SoftmaxPrecision::kBfloat16 : kernels::SoftmaxPrecision::kFloat32,
               device),
        log_q_(log_q.to(device.torch())),
        device_(device) {}
  model::LossNeeds needs() const override { return {}; }
  int num_reductions() const override { return 0; }
  absl::StatusOr<model::Reduction> Partial(const model::LossInput&,
                                           std::span<const at::Tensor>) override {
    return absl::UnimplementedError("nothing is reduced");
  }
  absl::StatusOr<model::LossResult> Finish(const model::LossInput& input,
                                           std::span<const at::Tensor>) override {
    const auto [column_offset, own] = Offsets(input);
    model::SoftmaxResult result = fused_.Compute({.q = input.q,
                                                  .v = input.v,
                                                  .column_offset = column_offset,
                                                  .rows = input.rows,
                                                  .positive = input.positive,
                                                  .positive_offset = own,
                                                  .target_offset = own,
                                                  .weight = input.weight,
                                                  .excluded_begin = {},
                                                  .excluded = {},
                                                  .temperature = input.scorer->divisor(),
                                                  .device = device_});
    return model::LossResult{result.value, result.q_grad, result.v_grad};
  }
  std::string Explain(const model::LossInput&) override { return ""; }
  std::string Description() const override { return "as the peers"; }

 private:
  // [U] log multiplicity - log Q, and [B] - log Q of the own item. In loops on the host: the peers'
  // offsets are no part of what is measured.
  std::pair<at::Tensor, at::Tensor> Offsets(const model::LossInput& input) const {
    if (!input.items.is_cpu()) {
      const at::Tensor log_q = log_q_.index_select(0, input.items);
      return {input.facts.multiplicity.reshape({-1}).to(at::kFloat).log_().sub_(log_q),
              log_q.index_select(0, input.positive).neg_()};
    }
    const int64_t *items = input.items.const_data_ptr<int64_t>(),
                  *positive = input.positive.const_data_ptr<int64_t>();
    const auto* copies = input.facts.multiplicity.const_data_ptr<int32_t>();
    const auto* log_q = log_q_.const_data_ptr<float>();
    kernels::FilledTensor<float> column(input.items.numel()), own(input.positive.numel());
    for (size_t c = 0; c < column.values().size(); ++c) {
      column.values()[c] = std::log(static_cast<float>(copies[c])) - log_q[items[c]];
    }
    for (size_t n = 0; n < own.values().size(); ++n) own.values()[n] = -log_q[items[positive[n]]];
    return {column.take(), own.take()};
  }

  model::FusedSoftmax fused_;
  const at::Tensor log_q_;
  const kernels::Device device_;
};

}  // namespace torii::bench
