#include "trainer/profile.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status_macros.h"

namespace torii::trainer {
namespace {

// The text of every rank, in rank order.
absl::StatusOr<std::vector<std::string>> GatherTexts(comm::Communicator& comm,
                                                     const std::string& mine) {
  const auto size = static_cast<int64_t>(mine.size());
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, comm::AllGatherValue(comm, size));
  const at::Tensor bytes = at::empty({size}, at::kByte);
  std::memcpy(bytes.data_ptr(), mine.data(), mine.size());
  TORII_ASSIGN_OR_RETURN(const at::Tensor all, comm.AllGatherV(bytes, sizes));
  std::vector<std::string> texts;
  const auto* next = static_cast<const char*>(all.const_data_ptr());
  for (const int64_t n : sizes) {
    texts.emplace_back(next, static_cast<size_t>(n));
    next += n;
  }
  return texts;
}

}  // namespace

Profile::Profile(ProfileOptions options, int64_t begin, int64_t end)
    : options_(std::move(options)) {
  if (options_.path.empty() || begin >= end) return;
  first_ = std::max(begin, std::min(begin + kStepsBeforeProfile, end - options_.steps));
  last_ = std::min(first_ + options_.steps, end) - 1;
}

absl::Status Profile::BeforeStep(comm::Communicator& comm, int64_t step) {
  if (step != first_) return absl::OkStatus();
  TORII_RETURN_IF_ERROR(comm.Barrier());
  trace_.Start();
  return absl::OkStatus();
}

absl::Status Profile::AfterStep(FileSystem& files, comm::Communicator& comm, int64_t step) {
  if (step != last_) return absl::OkStatus();
  trace_.Stop();
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> events,
                         GatherTexts(comm, trace_.Events(comm.rank())));
  absl::Status written;
  if (comm.rank() == 0) {
    written = WriteFileAtomically(files, options_.path, TraceFile(events));
    if (written.ok()) TORII_INFO("steps ", first_, " to ", last_, " are in ", options_.path);
  }
  return comm::AgreeOnStatus(comm, written);
}

}  // namespace torii::trainer
