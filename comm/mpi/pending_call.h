// The MPI requests of one collective call, and everything that MPI may touch until they are
// complete.
#pragma once

#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace torii::comm {

// When a call that still waits is to warn and when it fails. warn = deadline: it has warned.
struct WaitLimits {
  std::chrono::steady_clock::time_point warn, deadline;
};

struct PendingCall {
  std::vector<MPI_Request> requests;
  std::vector<at::Tensor> tensors;
  std::vector<std::byte> sent, received;
  std::vector<int> counts;
  std::vector<int> displacements;
  MPI_Comm duplicate = MPI_COMM_NULL;  // what MPI_Comm_idup makes

  MPI_Request* AddRequest() { return &requests.emplace_back(MPI_REQUEST_NULL); }
};

// Polls until all requests are complete, the deadline has passed (kDeadlineExceeded without a text:
// the caller names the call) or MPI reports an error. Calls `warn` at most once for the same
// limits. After an error the call's memory is kept for ever, because MPI may still write into it,
// and `call` is null.
absl::Status WaitForAll(std::unique_ptr<PendingCall>& call, WaitLimits& limits,
                        absl::FunctionRef<void()> warn);

// Keeps the memory of a call that could not be completed.
void KeepForEver(std::unique_ptr<PendingCall> call);

}  // namespace torii::comm
