// The MPI back end: one rank a process, CPU tensors.
#pragma once

#include <mpi.h>

#include <chrono>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/call.h"
#include "comm/communicator.h"
#include "comm/mpi/pending_call.h"

namespace torii::comm {

struct MpiCommunicatorOptions {
  // A call that takes longer fails with kPeerLost.
  std::chrono::milliseconds deadline = std::chrono::minutes(10);
  // No message and no staging buffer per peer is larger; at most 2^31 - 1 elements whatever this
  // says.
  int64_t chunk_bytes = int64_t{1} << 30;
};

// Sums in rank order, with the bits of the in-process back end: MPI moves data, the reduction is
// ours (comm/reduce_in_rank_order.h). One thread calls it (Abort: any); the MPI environment
// outlives it. MPI works on a call only while this class polls, so a rank that computes does not
// delay its own deadline.
class MpiCommunicator final : public Communicator {
 public:
  // On a duplicate of `parent`. Collective over `parent`.
  static absl::StatusOr<std::unique_ptr<Communicator>> Create(MPI_Comm parent,
                                                              MpiCommunicatorOptions options);
  ~MpiCommunicator() override;
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  int rank() const override { return rank_; }
  int world_size() const override { return world_size_; }
  absl::Status AllReduce(at::Tensor& tensor, ReduceOp op) override;
  absl::StatusOr<at::Tensor> AllGatherV(const at::Tensor& in,
                                        std::span<const int64_t> rows) override;
  absl::StatusOr<at::Tensor> ReduceScatterV(const at::Tensor& in,
                                            std::span<const int64_t> rows) override;
  absl::Status Broadcast(at::Tensor& tensor, int root) override;
  absl::StatusOr<at::Tensor> AllToAllV(const at::Tensor& in, std::span<const int64_t> send_rows,
                                       std::span<const int64_t> recv_rows) override;
  absl::Status Barrier() override;
  void Abort(const absl::Status& reason) override;

 private:
  using Post = std::function<absl::Status(PendingCall&)>;
  struct Slices;

  MpiCommunicator(MPI_Comm comm, MpiCommunicatorOptions options);

  // Describes and checks the call and starts its clock.
  absl::Status StartCall(Op op, const at::Tensor& tensor, int64_t variant,
                         std::span<const int64_t> rows = {},
                         std::span<const int64_t> recv_rows = {});
  // Posts requests and waits for them; `buffers` are what they touch.
  absl::Status Run(std::vector<at::Tensor> buffers, const Post& post);
  // Elements of `dtype` that go into one message.
  int64_t ChunkElements(const at::Tensor& tensor) const;
  int Tag() const;

  absl::Status ReduceSlices(const at::Tensor& in, ReduceOp op, const Slices& slices, void* out);
  absl::Status GatherSlices(at::Tensor& tensor, const Slices& slices);
  absl::Status ReduceByGathering(at::Tensor& tensor, ReduceOp op);
  absl::Status BroadcastElements(at::Tensor& tensor, int64_t begin, int64_t end, int root);

  const MPI_Comm comm_;
  const MpiCommunicatorOptions options_;
  int rank_ = 0;
  int world_size_ = 1;
  int64_t sequence_ = 0;
  Call call_;                                        // in progress, for messages
  std::chrono::steady_clock::time_point call_ends_;  // its deadline
  absl::Status broken_;                              // the first failure; later calls return it
};

// Ends every process of MPI_COMM_WORLD with the exit code of `reason`, after one line on standard
// error.
[[noreturn]] void AbortWorld(int rank, const absl::Status& reason);
// True in a process that is in AbortWorld.
bool AbortIsUnderWay();

}  // namespace torii::comm
