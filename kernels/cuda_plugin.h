// Opens the plug-in for NVIDIA GPUs, libtorii_cuda.so. The program itself links neither CUDA nor
// NCCL: everything of a GPU that is not LibTorch's comes from the plug-in.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "kernels/cuda/plugin_table.h"
#include "kernels/device.h"

namespace torii::kernels {

// Must be called before LibTorch is asked for anything: LibTorch finds its own CUDA operations once,
// and the plug-in brings them along. Loads the library at `path`, which stays loaded. Errors say
// what is missing: the file, a library that it needs, another version.
absl::StatusOr<const CudaPlugin*> OpenCudaPlugin(const std::string& path);

// How many GPUs the plug-in sees, at least one; an error that says why there is none.
absl::StatusOr<int> CountGpus(const CudaPlugin& plugin);

// GPU `gpu` of the plug-in. LibTorch's sums are repeatable from then on, in the whole process.
Device CudaDevice(const CudaPlugin& plugin, int gpu);

}  // namespace torii::kernels
