// "Elsewhere": a strict device for tests, whose tensors do not lie on the CPU as far as LibTorch can
// tell, although their memory is the host's. It does what a GPU does where there is none: an
// operation that mixes its tensors with the CPU's is an error that names the operation, and what a
// GPU's caller would wait for is noted. Operations have the CPU's bits; the kernels are a GPU's,
// emulated.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace torii::testing {

// A program that calls this has the device from its start. Not for static objects.
kernels::Device Elsewhere();

// Notes what makes the calling thread wait for the device while this object lives: copies between
// host and device that are not asynchronous, numbers that are read, results whose size depends on
// values. What a backward pass does on behalf of the thread counts too. Objects may be nested; each
// wait is noted by the innermost.
class DeviceWaits {
 public:
  DeviceWaits();
  ~DeviceWaits();
  DeviceWaits(const DeviceWaits&) = delete;
  DeviceWaits& operator=(const DeviceWaits&) = delete;

  // One entry for each wait, in order: "aten::_local_scalar_dense", "copy to the host of Float [3]".
  std::vector<std::string> list() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace torii::testing
