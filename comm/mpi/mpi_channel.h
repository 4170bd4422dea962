// One MPI communicator of its own and the collective calls that this process makes on it, one after
// the other: their sequence, deadline and errors.
#pragma once

#include <mpi.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/call.h"
#include "comm/mpi/pending_call.h"

namespace torii::comm {

struct MpiOptions {
  // A call that takes longer fails with kPeerLost.
  std::chrono::milliseconds deadline = std::chrono::minutes(10);
  // After this wait a warning names the call.
  std::chrono::milliseconds warn_after = std::chrono::seconds(10);
  // No message and no staging buffer per peer is larger; at most 2^31 - 1 elements whatever this
  // says.
  int64_t chunk_bytes = int64_t{1} << 30;
};

class MpiChannel {
 public:
  // The first failure on any channel of a world, on this rank. The world's channels share it.
  using Failure = std::shared_ptr<absl::Status>;
  using Post = absl::FunctionRef<absl::Status(PendingCall&)>;

  // On a duplicate of `parent`, which MPI makes without a deadline. Collective over `parent`.
  static absl::StatusOr<std::unique_ptr<MpiChannel>> Create(MPI_Comm parent, MpiOptions options,
                                                            Failure failure);
  // Another channel of the same world. A call of this channel, with its deadline.
  absl::StatusOr<std::unique_ptr<MpiChannel>> Duplicate();
  ~MpiChannel();
  MpiChannel(const MpiChannel&) = delete;
  MpiChannel& operator=(const MpiChannel&) = delete;

  MPI_Comm comm() const { return comm_; }
  int rank() const { return rank_; }
  int world_size() const { return world_size_; }
  const MpiOptions& options() const { return options_; }

  int64_t NextSequence() { return sequence_++; }
  // Starts the clock of a call, for the messages of Run. The first failure if there was one.
  absl::Status Start(const Call& call);
  // Posts requests of the call and waits for them. After an error `call` is null.
  absl::Status Run(std::unique_ptr<PendingCall>& call, Post post);
  // The same with tensors that MPI reads or writes.
  absl::Status Run(std::vector<at::Tensor> tensors, Post post);

  // Elements of `item_bytes` that go into one message.
  int64_t ChunkElements(int64_t item_bytes) const;
  int Tag() const;

 private:
  MpiChannel(MPI_Comm comm, MpiOptions options, Failure failure);
  // Takes `comm`, and asks it for this process's rank.
  static absl::StatusOr<std::unique_ptr<MpiChannel>> Own(MPI_Comm comm, MpiOptions options,
                                                         Failure failure);

  const MPI_Comm comm_;
  const MpiOptions options_;
  const Failure failure_;
  int rank_ = 0;
  int world_size_ = 1;
  int64_t sequence_ = 0;
  Call call_;             // in progress
  WaitLimits call_ends_;  // its deadline
};

}  // namespace torii::comm
