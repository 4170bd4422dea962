// A body that runs on a rank of an NCCL world.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "comm/communicator.h"
#include "comm/nccl/device_streams.h"
#include "comm/nccl/nccl_world.h"

namespace torii::comm {

// Makes a communicator over `host` (CreateNccl) and runs `body` on it. An error of `body`, or an
// exception that passes through, ends `world`, so that the other ranks of this process do not wait
// in NCCL; the caller tells the other processes (Communicator::Abort of `host`). Collective.
absl::Status RunOnNccl(Communicator& host, const std::shared_ptr<NcclWorld>& world,
                       std::shared_ptr<DeviceStreams> streams,
                       const std::function<absl::Status(Communicator&)>& body);

}  // namespace torii::comm
