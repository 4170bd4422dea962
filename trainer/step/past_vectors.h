// The memory of past columns: item vectors of earlier steps (sampler/candidates.h, PastColumns).
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "base/named_state.h"
#include "kernels/device.h"
#include "sampler/candidates.h"

namespace torii::trainer {

// Every rank holds all of it, and the same.
class PastVectors {
 public:
  // slots: 0 if no source of negatives remembers anything. width: D.
  PastVectors(int64_t slots, int64_t width, const kernels::Device& device);
  // v [columns of the step, D] with the vectors of the past columns behind them; `v` itself if
  // there are none.
  at::Tensor Behind(const at::Tensor& v, const sampler::PastColumns& past) const;
  // Keeps vectors of the step, if the gate (kernels/update_gate.h) is open. v: of all columns of
  // the step, the same on all ranks.
  void Keep(const at::Tensor& v, const sampler::PastColumns& past, const at::Tensor& gate);
  void RegisterState(StateRegistry& registry);

 private:
  at::Tensor vectors_;  // [slots, D]; undefined without slots
};

}  // namespace torii::trainer
