#include "trainer/step/loss_plan.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/host_tensors.h"

namespace torii::trainer {
namespace {

// [B]
at::Tensor ScaledBy(double factor, std::span<const float> weights, const kernels::Device& device) {
  kernels::FilledTensor<float> scaled(std::ssize(weights), device);
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

}  // namespace

LossPlan PlanLoss(const sampler::Candidates& candidates, std::span<const float> weights,
                  const kernels::Device& device) {
  const auto there = [&](const at::Tensor& host) { return kernels::OnDevice(host, device); };
  LossPlan plan;
  plan.weight =
      ScaledBy(candidates.weight_sum > 0 ? 1.0 / candidates.weight_sum : 0.0, weights, device);
  plan.seen = there(candidates.seen_columns);
  plan.items = there(ItemsOf(candidates));
  plan.positive = there(candidates.positive);
  plan.negatives = there(candidates.negatives);
  plan.facts = candidates.facts;
  plan.facts.multiplicity = there(candidates.facts.multiplicity);
  plan.facts.expected = there(candidates.facts.expected);
  plan.excluded = {there(candidates.excluded_begin), there(candidates.excluded)};
  const sampler::PastColumns& past = candidates.past;
  plan.past = {there(past.items), there(past.slots), there(past.kept_columns),
               there(past.kept_slots)};
  return plan;
}

}  // namespace torii::trainer
