// The GPU of the tests that need one.
#pragma once

#include <cstdlib>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "kernels/cuda_plugin.h"
#include "kernels/device.h"

namespace torii::testing {

struct TestGpu {
  const kernels::CudaPlugin* plugin = nullptr;
  kernels::Device device = kernels::Device::Cpu();
};

// The first GPU of the plug-in that TORII_CUDA_PLUGIN names, or why there is none. Before LibTorch is
// asked for anything.
inline const absl::StatusOr<TestGpu>& Gpu() {
  static const absl::StatusOr<TestGpu> kGpu = []() -> absl::StatusOr<TestGpu> {
    const char* const path = std::getenv("TORII_CUDA_PLUGIN");
    if (path == nullptr) return absl::NotFoundError("TORII_CUDA_PLUGIN names no plug-in");
    TestGpu gpu;
    TORII_ASSIGN_OR_RETURN(gpu.plugin, kernels::OpenCudaPlugin(path));
    TORII_RETURN_IF_ERROR(kernels::CountGpus(*gpu.plugin).status());
    gpu.device = kernels::CudaDevice(*gpu.plugin, 0);
    return gpu;
  }();
  return kGpu;
}

}  // namespace torii::testing
