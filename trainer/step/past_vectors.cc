#include "trainer/step/past_vectors.h"

#include <ATen/ATen.h>

#include "kernels/update_gate.h"

namespace torii::trainer {

PastVectors::PastVectors(int64_t slots, int64_t width, const kernels::Device& device) {
  if (slots == 0) return;
  vectors_ = at::zeros({slots, width}, at::TensorOptions(device.torch()).dtype(at::kFloat));
}

at::Tensor PastVectors::Behind(const at::Tensor& v, const sampler::PastColumns& past) const {
  if (!past.items.defined() || past.items.size(0) == 0) return v;
  return at::cat({v, vectors_.index_select(0, past.slots)});
}

void PastVectors::Keep(const at::Tensor& v, const sampler::PastColumns& past,
                       const at::Tensor& gate) {
  if (!past.items.defined() || past.kept_slots.size(0) == 0) return;
  const at::Tensor kept = kernels::Gated(gate, v.index_select(0, past.kept_columns),
                                         vectors_.index_select(0, past.kept_slots));
  vectors_.index_copy_(0, past.kept_slots, kept);
}

void PastVectors::RegisterState(StateRegistry& registry) {
  if (vectors_.defined()) registry.Add({.name = "sampler.past_vectors", .tensor = vectors_});
}

}  // namespace torii::trainer
