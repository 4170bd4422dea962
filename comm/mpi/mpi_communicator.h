// The MPI back end: one rank a process, CPU tensors.
#pragma once

#include <mpi.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/call.h"
#include "comm/communicator.h"
#include "comm/mpi/mpi_channel.h"
#include "comm/mpi/mpi_control_plane.h"

namespace torii::comm {

// Sums in rank order, with the bits of the in-process back end: MPI moves data, the reduction is
// ours (comm/reduce_in_rank_order.h). One thread calls it (Abort: any); the MPI environment
// outlives it. MPI works on a call only while this class polls, so a rank that computes does not
// delay its own deadline.
class MpiCommunicator final : public Communicator {
 public:
  // On a duplicate of `parent`. Collective over `parent`.
  static absl::StatusOr<std::unique_ptr<Communicator>> Create(MPI_Comm parent, MpiOptions options);

  int rank() const override { return channel_->rank(); }
  int world_size() const override { return channel_->world_size(); }
  ControlPlane& control() override { return control_; }
  absl::Status AllReduce(at::Tensor& tensor, ReduceOp op) override;
  absl::StatusOr<at::Tensor> AllGatherV(const at::Tensor& in,
                                        std::span<const int64_t> rows) override;
  absl::StatusOr<at::Tensor> ReduceScatterV(const at::Tensor& in,
                                            std::span<const int64_t> rows) override;
  absl::Status Broadcast(at::Tensor& tensor, int root) override;
  absl::StatusOr<at::Tensor> AllToAllV(const at::Tensor& in, std::span<const int64_t> send_rows,
                                       std::span<const int64_t> recv_rows) override;
  void Abort(const absl::Status& reason) override;

 private:
  struct Slices;

  MpiCommunicator(std::unique_ptr<MpiChannel> channel, std::unique_ptr<MpiChannel> control);

  // Describes and checks the call and starts its clock.
  absl::Status StartCall(Op op, const at::Tensor& tensor, int64_t variant,
                         std::span<const int64_t> rows = {},
                         std::span<const int64_t> recv_rows = {});

  absl::Status ReduceSlices(const at::Tensor& in, ReduceOp op, const Slices& slices, void* out);
  absl::Status GatherSlices(at::Tensor& tensor, const Slices& slices);
  absl::Status ReduceByGathering(at::Tensor& tensor, ReduceOp op);
  absl::Status BroadcastElements(at::Tensor& tensor, int64_t begin, int64_t end, int root);

  const std::unique_ptr<MpiChannel> channel_;
  MpiControlPlane control_;
};

// Ends every process of MPI_COMM_WORLD with the exit code of `reason`, after one line on standard
// error.
[[noreturn]] void AbortWorld(int rank, const absl::Status& reason);
// True in a process that is in AbortWorld.
bool AbortIsUnderWay();

}  // namespace torii::comm
