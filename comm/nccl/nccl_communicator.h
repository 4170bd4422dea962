// The NCCL back end: ranks that each have a device of their own. The host's communicator (MPI, or
// in_process) carries what lies on the CPU and the control plane.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "comm/nccl/device_streams.h"
#include "comm/nccl/nccl_world.h"

namespace torii::comm {

// A communicator over the ranks of `host`. Tensors on streams->device() go through NCCL, in the
// order of the caller's current stream: a call returns when the device has the work, and the host
// does not wait for it. Tensors on the CPU go through a duplicate of `host`. `world` is shared by
// all ranks of this process. Refuses, on all ranks alike, what nccl_requirements.h lists. Collective.
absl::StatusOr<std::unique_ptr<Communicator>> CreateNccl(Communicator& host,
                                                         std::shared_ptr<NcclWorld> world,
                                                         std::shared_ptr<DeviceStreams> streams);

}  // namespace torii::comm
