// A step whose numbers are not finite changes nothing, and nothing waits for these numbers: the
// updates themselves ask a flag on the device whether they may happen.
#pragma once

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::kernels {

class UpdateGate {
 public:
  explicit UpdateGate(const Device& device);
  // Closes the gate, for good, unless both numbers ([1] float64 on the device) are finite. Returns
  // the flag [1] bool, true as long as the gate is open.
  const at::Tensor& CloseUnlessFinite(const at::Tensor& loss, const at::Tensor& gradient_norm);

 private:
  Device device_;
  at::Tensor is_open_;
};

// What all updates of one step share.
struct UpdateTerms {
  double learning_rate_factor = 1;  // of the schedule
  int64_t step = 0;                 // global, from 0
  at::Tensor gate = {};             // the flag of an UpdateGate; undefined: open
};

// The flag for the kernels: null where there is none.
const bool* FlagOf(const at::Tensor& gate);
// `now` if the gate is open, else `was`.
at::Tensor Gated(const at::Tensor& gate, const at::Tensor& now, const at::Tensor& was);

}  // namespace torii::kernels
