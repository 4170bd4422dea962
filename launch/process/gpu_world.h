// Ranks that each have a GPU: NCCL beside the host's communicator.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "comm/communicator.h"
#include "comm/exchange.pb.h"
#include "kernels/cuda/plugin_table.h"
#include "kernels/device.h"

namespace torii::launch {

// Runs `body` on a communicator over the ranks of `host` that moves tensors on `device` by NCCL,
// watched for lost ranks. Says which variables of NCCL it sets. kConfig where NCCL is missing or
// would hang (comm/nccl/nccl_requirements.h). Collective.
absl::Status RunOnGpus(comm::Communicator& host, const kernels::CudaPlugin& plugin,
                       const kernels::Device& device, comm::ExchangeConfig::Sums sums,
                       const std::function<absl::Status(comm::Communicator&)>& body);

}  // namespace torii::launch
