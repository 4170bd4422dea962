// Kernels get pointers: a tensor that lies elsewhere would be read all the same, or end the program
// without a word.
#pragma once

#include "ATen/core/Tensor.h"
#include "base/check.h"
#include "kernels/device.h"

namespace torii::kernels {

// CHECK-fails unless each tensor lies on the device, undefined ones left out. operation: for the
// message.
template <class... Tensors>
void CheckOnDevice(const Device& device, const char* operation, const Tensors&... tensors) {
  const auto check = [&](const at::Tensor& x) {
    TORII_CHECK(!x.defined() || x.device() == device.torch(), operation, ": ", x.toString(), " of ",
                x.numel(), " elements on ", x.device().str(), ", expected on ",
                device.torch().str());
  };
  (check(tensors), ...);
}

}  // namespace torii::kernels
