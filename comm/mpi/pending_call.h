// The MPI requests of one collective call, and everything that MPI may touch until they are
// complete.
#pragma once

#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"

namespace torii::comm {

struct PendingCall {
  std::vector<MPI_Request> requests;
  std::vector<at::Tensor> tensors;
  std::vector<std::byte> sent, received;
  std::vector<int> counts;
  std::vector<int> displacements;

  MPI_Request* AddRequest() { return &requests.emplace_back(MPI_REQUEST_NULL); }
};

// Polls until all requests are complete, `deadline` has passed (kDeadlineExceeded, to be named by
// the caller) or MPI reports an error. After an error the call's memory is kept for ever, because
// MPI may still write into it, and `call` is null.
absl::Status WaitForAll(std::unique_ptr<PendingCall>& call,
                        std::chrono::steady_clock::time_point deadline);

// Keeps the memory of a call that could not be completed.
void KeepForEver(std::unique_ptr<PendingCall> call);

}  // namespace torii::comm
