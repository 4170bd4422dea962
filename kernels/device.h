// Where tensors live and which kernels serve them. Code that allocates, or calls a kernel, gets the
// Device as a value and asks it; nothing asks a tensor whether it is on this or that device.
#pragma once

#include <cstdint>
#include <optional>

#include "c10/core/Device.h"
#include "kernels/device_kernels.h"

namespace torii::kernels {

class Device {
 public:
  // Tensors on the CPU, kernels for the widest instruction set that this machine has.
  static Device Cpu();
  // Tensors on the CPU and no kernel at all: every operation is composed of LibTorch's, and numbers
  // are read late. Slow; it keeps the compositions right, which serve where a device has no kernel
  // of its own, and the order of work of a GPU.
  static Device Composed();
  // Tensors on the CPU, and a GPU's kernels compiled for the CPU (cuda/emulation.h). Very slow: it
  // tests the path of a GPU where there is none.
  static Device Emulated();
  // Whether calls return when their work is done, or before: the numbers of a step are then read
  // while the next one is computed.
  enum class Pace { kCallByCall, kBehindCalls };
  // `kernels` must live as long as the program.
  Device(at::Device torch_device, const DeviceKernels* kernels, const char* name, Pace pace)
      : torch_device_(torch_device), kernels_(kernels), name_(name), pace_(pace) {}

  at::Device torch() const { return torch_device_; }
  // Whether its memory is the host's: lists of the host are then read where they lie, and tensors
  // need no copy.
  bool is_host() const { return torch_device_.is_cpu(); }
  const DeviceKernels& kernels() const { return *kernels_; }
  Pace pace() const { return pace_; }
  // "cpu", "composed", "emulated", "cuda".
  const char* name() const { return name_; }
  // How much of its memory was free when the run began; nullopt: it does not say.
  std::optional<int64_t> free_bytes() const { return free_bytes_; }
  Device WithFreeBytes(int64_t bytes) const {
    Device device = *this;
    device.free_bytes_ = bytes;
    return device;
  }

 private:
  at::Device torch_device_;
  const DeviceKernels* kernels_;
  const char* name_;
  Pace pace_;
  std::optional<int64_t> free_bytes_;
};

}  // namespace torii::kernels
