#include "kernels/update_gate.h"

#include <ATen/ATen.h>

#include "base/check.h"
#include "kernels/on_device.h"

namespace torii::kernels {
namespace {

void CheckNumber(const at::Tensor& number) {
  TORII_CHECK(number.numel() == 1 && number.scalar_type() == at::kDouble,
              "a number of the step: ", number.toString(), " of ", number.numel(), " elements");
}

}  // namespace

UpdateGate::UpdateGate(const Device& device)
    : device_(device),
      is_open_(at::ones({1}, at::TensorOptions(device.torch()).dtype(at::kBool))) {}

const at::Tensor& UpdateGate::CloseUnlessFinite(const at::Tensor& loss,
                                                const at::Tensor& gradient_norm) {
  CheckNumber(loss);
  CheckNumber(gradient_norm);
  CheckOnDevice(device_, "CloseUnlessFinite", loss, gradient_norm);
  if (device_.kernels().close_gate == nullptr) {
    is_open_.logical_and_(at::isfinite(loss.view({1}) * 0 + gradient_norm.view({1}) * 0));
  } else {
    device_.kernels().close_gate({.loss = loss.const_data_ptr<double>(),
                                  .gradient_norm = gradient_norm.const_data_ptr<double>(),
                                  .is_open = is_open_.mutable_data_ptr<bool>()});
  }
  return is_open_;
}

const bool* FlagOf(const at::Tensor& gate) {
  return gate.defined() ? gate.const_data_ptr<bool>() : nullptr;
}

at::Tensor Gated(const at::Tensor& gate, const at::Tensor& now, const at::Tensor& was) {
  return gate.defined() ? at::where(gate, now, was) : now;
}

}  // namespace torii::kernels
