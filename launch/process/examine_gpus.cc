#include "launch/process/examine_gpus.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "comm/nccl/nccl_library.h"
#include "kernels/cuda_plugin.h"
#include "launch/process/run_device.h"

namespace torii::launch {
namespace {

// Not through FileSystem: files of /proc say that they are empty.
std::string ReadProc(const std::string& path) {
  std::ifstream in(path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

GpuFacts FactsOf(const kernels::CudaPlugin& plugin, int gpu) {
  GpuFacts facts;
  kernels::GpuProperties properties = {};
  kernels::CudaFailure failure = plugin.properties(gpu, &properties);
  if (failure == nullptr) failure = plugin.memory(gpu, &facts.free_bytes, &facts.total_bytes);
  if (failure != nullptr) {
    facts.trouble = failure;
    return facts;
  }
  facts.name = properties.name;
  facts.uuid = UuidText(properties.uuid);
  facts.compute_major = properties.compute_major;
  facts.compute_minor = properties.compute_minor;
  facts.multiprocessors = properties.multiprocessors;
  return facts;
}

}  // namespace

void AskPlugin(const kernels::CudaPlugin& plugin, CudaFacts* facts) {
  facts->compiled_runtime = plugin.compiled_runtime;
  if (plugin.versions(&facts->driver_cuda, &facts->runtime) != nullptr) {
    facts->driver_cuda = facts->runtime = 0;
  }
  if (plugin.nccl != nullptr) {
    const auto& nccl = *static_cast<const comm::NcclLibrary*>(plugin.nccl);
    facts->nccl_header = nccl.header_version;
    if (nccl.get_version(&facts->nccl_library) != comm::NcclResult::kSuccess) {
      facts->nccl_library = 0;
    }
  }
  int count = 0;
  const kernels::CudaFailure failure = plugin.count_gpus(&count);
  if (failure != nullptr || count <= 0) {
    facts->count_trouble = failure != nullptr ? failure : "CUDA sees none";
    return;
  }
  for (int gpu = 0; gpu < count; ++gpu) facts->gpus.push_back(FactsOf(plugin, gpu));
}

CudaFacts ExamineGpus() {
  CudaFacts facts;
  facts.driver_version = DriverVersionIn(ReadProc(kGpuDriverVersion));
  facts.has_driver = HasGpuDriver();
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible != nullptr) facts.visible_devices = visible;
  const char* const named = std::getenv("TORII_CUDA_PLUGIN");
  const bool is_named = named != nullptr && named[0] != '\0';
  const std::string path = CudaPluginPath();
  std::error_code none;
  if (!is_named && !std::filesystem::exists(path, none)) return facts;
  facts.plugin_path = path;
  const absl::StatusOr<const kernels::CudaPlugin*> plugin =
      kernels::OpenCudaPlugin(facts.plugin_path);
  if (plugin.ok()) {
    AskPlugin(**plugin, &facts);
  } else {
    facts.plugin_trouble = std::string(plugin.status().message());
  }
  return facts;
}

}  // namespace torii::launch
