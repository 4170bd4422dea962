#include "kernels/cuda_plugin.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "ATen/Context.h"
#include "absl/strings/str_cat.h"
#include "base/exit_code.h"

namespace torii::kernels {
namespace {

std::string LastLoaderError() {
  const char* const text = ::dlerror();
  return text != nullptr ? text : "unknown error";
}

// An operation of LibTorch whose sums differ from run to run throws from now on. cuBLAS reads the
// variable when it is first used.
void WantRepeatableSums() {
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

}  // namespace

absl::StatusOr<const CudaPlugin*> OpenCudaPlugin(const std::string& path) {
  // Lazily: LibTorch's libraries name symbols that a machine without all of NVIDIA's lacks.
  void* const library = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    return ConfigError(absl::StrCat(
        "the plug-in for GPUs cannot be opened: ", LastLoaderError(),
        "; it is built with -DTORII_CUDA=ON and needs the CUDA libraries of LibTorch: pip install "
        "torch==2.11.0 with its dependencies"));
  }
  const auto get = reinterpret_cast<const CudaPlugin* (*)()>(::dlsym(library, kCudaPluginSymbol));
  if (get == nullptr) {
    return ConfigError(absl::StrCat(path, " is not Torii's plug-in for GPUs: ", LastLoaderError()));
  }
  const CudaPlugin* const plugin = get();
  if (plugin->version != kCudaPluginVersion) {
    return ConfigError(absl::StrCat(path, " is of version ", plugin->version,
                                    ", the program needs version ", kCudaPluginVersion,
                                    ": build both from the same sources"));
  }
  return plugin;
}

absl::StatusOr<int> CountGpus(const CudaPlugin& plugin) {
  int gpus = 0;
  const CudaFailure failure = plugin.count_gpus(&gpus);
  if (failure == nullptr && gpus > 0) return gpus;
  return ConfigError(
      absl::StrCat("no GPU can be used: ", failure != nullptr ? failure : "CUDA sees none",
                   "; look at nvidia-smi and CUDA_VISIBLE_DEVICES"));
}

Device CudaDevice(const CudaPlugin& plugin, int gpu) {
  WantRepeatableSums();
  // A cell of a GRU would want its weights in one piece of memory, and to be told that it trains.
  at::globalContext().setUserEnabledCuDNN(false);
  const Device device(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu)), plugin.kernels,
                      "cuda", Device::Pace::kBehindCalls);
  int64_t free_bytes = 0, total_bytes = 0;
  const bool is_known = plugin.memory(gpu, &free_bytes, &total_bytes) == nullptr;
  return is_known ? device.WithFreeBytes(free_bytes) : device;
}

}  // namespace torii::kernels
