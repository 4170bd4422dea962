// Streams and marks of a GPU for NCCL (comm/nccl/device_streams.h), by the functions of the plug-in.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "comm/nccl/device_streams.h"
#include "kernels/cuda/plugin_table.h"

namespace torii::launch {

// `host_id`: the value of NCCL_HOSTID, empty if unset. kConfig if the GPU cannot be asked.
absl::StatusOr<std::shared_ptr<comm::DeviceStreams>> MakeCudaStreams(
    const kernels::CudaPlugin& plugin, int gpu, const std::string& host_id);

}  // namespace torii::launch
