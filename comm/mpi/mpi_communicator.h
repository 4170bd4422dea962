// The MPI back end: each rank is a process, tensors lie on the CPU.
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

// Sums are taken in rank order and have the bits of the in-process back end: MPI only moves data,
// the additions are in comm/reduce_in_rank_order.h. One thread uses it (Abort: any thread). The MPI
// environment must outlive it. The deadline of a call counts from its start: the time that a rank
// computes before it does not count, but its peers wait for it then.
class MpiCommunicator final : public Communicator {
 public:
  // Works on duplicates of `parent`. Collective over `parent`.
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
  absl::StatusOr<std::unique_ptr<Communicator>> Duplicate() override;
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

}  // namespace torii::comm
