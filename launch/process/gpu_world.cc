#include "launch/process/gpu_world.h"

#include <cstdlib>
#include <memory>
#include <string>

#include "base/exit_code.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "comm/nccl/nccl_requirements.h"
#include "comm/nccl/run_on_nccl.h"
#include "comm/nccl/watchdog.h"
#include "launch/process/cuda_streams.h"

namespace torii::launch {

absl::Status RunOnGpus(comm::Communicator& host, const kernels::CudaPlugin& plugin,
                       const kernels::Device& device, comm::ExchangeConfig::Sums sums,
                       const std::function<absl::Status(comm::Communicator&)>& body) {
  if (plugin.nccl == nullptr) {
    return ConfigError("--device cuda on several ranks: the plug-in was built without NCCL");
  }
  const comm::NcclEnvironment environment = comm::PlanNcclEnvironment(
      [](const std::string& name) {
        const char* const value = std::getenv(name.c_str());
        return std::string(value == nullptr ? "" : value);
      },
      sums);
  for (const auto& [name, value] : environment.set) ::setenv(name.c_str(), value.c_str(), 1);
  if (host.rank() == 0) {
    for (const std::string& note : environment.notes) TORII_INFO(note);
  }
  const auto world = std::make_shared<comm::NcclWorld>(
      *static_cast<const comm::NcclLibrary*>(plugin.nccl),
      comm::NcclOptions{.sums = sums, .several_ranks_per_gpu = environment.several_ranks_per_gpu});
  TORII_ASSIGN_OR_RETURN(std::shared_ptr<comm::DeviceStreams> streams,
                         MakeCudaStreams(plugin, device.torch().index(), environment.host_id));
  const comm::Watchdog watchdog(world);
  return comm::RunOnNccl(host, world, std::move(streams), body);
}

}  // namespace torii::launch
