// Where tensors live and which kernels serve them. Code that allocates, or calls a kernel, gets the
// Device as a value and asks it; nothing asks a tensor whether it is on this or that device.
#pragma once

#include "c10/core/Device.h"
#include "kernels/device_kernels.h"

namespace torii::kernels {

class Device {
 public:
  // Tensors on the CPU, kernels for the widest instruction set that this machine has.
  static Device Cpu();
  // Tensors on the CPU and no kernel at all: every operation is composed of LibTorch's. Slow; it
  // keeps the compositions right, which serve where a device has no kernel of its own.
  static Device Composed();
  // Tensors on the CPU, and a GPU's kernels compiled for the CPU (cuda/emulation.h). Very slow: it
  // tests the path of a GPU where there is none.
  static Device Emulated();
  // `kernels` must live as long as the program.
  Device(at::Device torch_device, const DeviceKernels* kernels, const char* name)
      : torch_device_(torch_device), kernels_(kernels), name_(name) {}

  at::Device torch() const { return torch_device_; }
  const DeviceKernels& kernels() const { return *kernels_; }
  // "cpu", "composed", "emulated".
  const char* name() const { return name_; }

 private:
  at::Device torch_device_;
  const DeviceKernels* kernels_;
  const char* name_;
};

}  // namespace torii::kernels
