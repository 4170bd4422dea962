// One rank of an in-process group.
#pragma once

#include <memory>

#include "comm/communicator.h"
#include "comm/in_process/in_process_control_plane.h"
#include "comm/in_process/rank_calls.h"

namespace torii::comm {

// Used by one thread at a time (Abort: by any). Copies straight between the ranks' tensors;
// tensors of a device go by way of the host, for which a call waits.
class InProcessCommunicator final : public Communicator {
 public:
  InProcessCommunicator(std::shared_ptr<Meeting> meeting, int rank);

  int rank() const override { return calls_.rank(); }
  int world_size() const override { return calls_.world_size(); }
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
  // Describes and checks the call, so far as this rank can see.
  absl::StatusOr<Call> StartCall(Op op, const at::Tensor& tensor, int64_t variant,
                                 std::span<const int64_t> rows = {},
                                 std::span<const int64_t> recv_rows = {});

  RankCalls calls_;
  InProcessControlPlane control_;
};

}  // namespace torii::comm
