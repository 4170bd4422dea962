#include "trainer/profile.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status_macros.h"

namespace torii::trainer {
Profile::Profile(ProfileOptions options, int64_t begin, int64_t end)
    : options_(std::move(options)) {
  if (options_.path.empty() || begin >= end) return;
  first_ = std::max(begin, std::min(begin + kStepsBeforeProfile, end - options_.steps));
  last_ = std::min(first_ + options_.steps, end) - 1;
}

absl::Status Profile::BeforeStep(comm::Communicator& comm, int64_t step) {
  if (step != first_) return absl::OkStatus();
  TORII_RETURN_IF_ERROR(comm::Barrier(comm.control()));
  trace_.Start();
  return absl::OkStatus();
}

absl::Status Profile::AfterStep(FileSystem& files, comm::Communicator& comm, int64_t step) {
  if (step != last_) return absl::OkStatus();
  trace_.Stop();
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> events,
                         comm::AllGatherTexts(comm.control(), trace_.Events(comm.rank())));
  absl::Status written;
  if (comm.rank() == 0) {
    written = WriteFileAtomically(files, options_.path, TraceFile(events));
    if (written.ok()) TORII_INFO("steps ", first_, " to ", last_, " are in ", options_.path);
  }
  return comm::AgreeOnStatus(comm.control(), written);
}

}  // namespace torii::trainer
