#include "kernels/device.h"

#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cuda/cuda_kernels.h"

namespace torii::kernels {

Device Device::Cpu() { return {at::kCPU, &cpu::CpuKernels(), "cpu", Pace::kCallByCall}; }

Device Device::Composed() {
  static const DeviceKernels kNone{};
  return {at::kCPU, &kNone, "composed", Pace::kBehindCalls};
}

Device Device::Emulated() {
  return {at::kCPU, &cuda::CudaKernels(), "emulated", Pace::kBehindCalls};
}

}  // namespace torii::kernels
