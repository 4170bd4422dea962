#include "comm/nccl/device_streams.h"

#include "base/exit_code.h"
#include "base/status_macros.h"
#include "comm/nccl/poll_pause.h"

namespace torii::comm {

absl::Status HostMark::Wait(std::chrono::steady_clock::time_point deadline,
                            absl::FunctionRef<absl::Status()> interrupted) const {
  for (PollPause pause;; pause()) {
    TORII_ASSIGN_OR_RETURN(const bool done, IsDone());
    if (done) return absl::OkStatus();
    TORII_RETURN_IF_ERROR(interrupted());
    if (std::chrono::steady_clock::now() > deadline) {
      return PeerLostError("the device did not finish before the deadline");
    }
  }
}

}  // namespace torii::comm
