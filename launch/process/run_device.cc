#include "launch/process/run_device.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "comm/nccl/nccl_requirements.h"
#include "kernels/cuda_plugin.h"

namespace torii::launch {
namespace {

struct Gpus {
  const kernels::CudaPlugin* plugin = nullptr;
  int count = 0;
};

absl::StatusOr<Gpus> FindGpus() {
  Gpus gpus;
  TORII_ASSIGN_OR_RETURN(gpus.plugin, kernels::OpenCudaPlugin(CudaPluginPath()));
  TORII_ASSIGN_OR_RETURN(gpus.count, kernels::CountGpus(*gpus.plugin));
  return gpus;
}

std::string NamedPlugin() {
  const char* const named = std::getenv("TORII_CUDA_PLUGIN");
  return named == nullptr ? "" : named;
}

}  // namespace

std::string CudaPluginPath() {
  if (!NamedPlugin().empty()) return NamedPlugin();
  std::error_code none;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", none);
  const std::filesystem::path folder = program.parent_path();
  const std::filesystem::path installed = folder.parent_path() / "lib/libtorii_cuda.so";
  return (std::filesystem::exists(installed, none) ? installed : folder / "libtorii_cuda.so")
      .string();
}

bool HasGpuDriver() {
  std::error_code none;
  // The second is there also where /proc is not the host's, in some containers; the third is that of
  // Windows' subsystem for Linux.
  for (const char* sign : {kGpuDriverVersion, "/dev/nvidiactl", "/dev/dxg"}) {
    if (std::filesystem::exists(sign, none)) return true;
  }
  return false;
}

absl::StatusOr<RunDevice> RunDevice::Open(const std::string& asked) {
  RunDevice device;
  if (asked == "cpu") return device;
  if (asked == "emulated") {
    device.emulated_ = true;
    device.note_ = "device: a GPU's kernels, run by the CPU: very slow, for tests";
    return device;
  }
  if (asked != "cuda" && asked != "auto") {
    return UsageError(
        absl::StrCat("--device: '", asked, "' is none of auto, cpu, cuda and emulated"));
  }
  // Without a driver the plug-in, which brings half a gigabyte of libraries, is not even opened.
  if (asked == "auto" && !HasGpuDriver() && NamedPlugin().empty()) return device;
  const absl::StatusOr<Gpus> gpus = FindGpus();
  if (!gpus.ok() && asked == "cuda") return Annotate(gpus.status(), "--device cuda");
  if (!gpus.ok()) {
    device.note_ = absl::StrCat("device: cpu (", gpus.status().message(), ")");
    return device;
  }
  device.plugin_ = gpus->plugin;
  device.gpus_ = gpus->count;
  device.note_ = absl::StrCat("device: cuda, ", gpus->count, gpus->count == 1 ? " GPU" : " GPUs");
  return device;
}

absl::StatusOr<kernels::Device> RunDevice::OfRank(int local_rank, int local_size) const {
  if (emulated_) return kernels::Device::Emulated();
  if (plugin_ == nullptr) return kernels::Device::Cpu();
  TORII_ASSIGN_OR_RETURN(const comm::GpuChoice choice,
                         comm::ChooseGpu(local_rank, local_size, gpus_));
  if (!choice.warning.empty()) TORII_WARNING(choice.warning);
  const kernels::CudaFailure failure = plugin_->use_gpu(choice.device);
  if (failure != nullptr) {
    return ConfigError(absl::StrCat("GPU ", choice.device, " cannot be used: ", failure));
  }
  return kernels::CudaDevice(*plugin_, choice.device);
}

}  // namespace torii::launch
