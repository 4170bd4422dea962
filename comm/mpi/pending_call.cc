#include "comm/mpi/pending_call.h"

#include <sched.h>

#include <mutex>
#include <utility>

#include "comm/mpi/mpi_status.h"

namespace torii::comm {
namespace {

// Short waits end within these tests; after them other processes on this core get their turn.
constexpr int kSpinTests = 1000;

absl::Status Poll(PendingCall& call, std::chrono::steady_clock::time_point deadline) {
  for (int64_t tests = 0;; ++tests) {
    int done = 0;
    TORII_MPI_RETURN_IF_ERROR(MPI_Testall(static_cast<int>(call.requests.size()),
                                          call.requests.data(), &done, MPI_STATUSES_IGNORE));
    if (done != 0) {
      return absl::OkStatus();
    }
    if (tests < kSpinTests) {
      continue;
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return absl::DeadlineExceededError("");
    }
    sched_yield();
  }
}

}  // namespace

absl::Status WaitForAll(std::unique_ptr<PendingCall>& call,
                        std::chrono::steady_clock::time_point deadline) {
  absl::Status status = Poll(*call, deadline);
  if (!status.ok()) {
    KeepForEver(std::move(call));
  }
  return status;
}

void KeepForEver(std::unique_ptr<PendingCall> call) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<PendingCall>>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(call));
}

}  // namespace torii::comm
