// One rank of an in-process group.
#pragma once

#include <functional>
#include <memory>

#include "comm/communicator.h"
#include "comm/in_process/meeting.h"

namespace torii::comm {

// Used by one thread at a time (Abort: by any). Copies straight between the ranks' tensors.
class InProcessCommunicator final : public Communicator {
 public:
  InProcessCommunicator(std::shared_ptr<Meeting> meeting, int rank);
  ~InProcessCommunicator() override;
  InProcessCommunicator(const InProcessCommunicator&) = delete;
  InProcessCommunicator& operator=(const InProcessCommunicator&) = delete;

  int rank() const override { return rank_; }
  int world_size() const override { return meeting_->world_size(); }
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
  // Meets the peers with the offer and, if all made the same call, copies between Meet and Part.
  absl::Status Exchange(Offer offer, const std::function<void(std::span<const Offer>)>& copy);
  // Describes and checks the call, so far as this rank can see.
  absl::StatusOr<Call> StartCall(Op op, const at::Tensor& tensor, int64_t variant,
                                 std::span<const int64_t> rows = {},
                                 std::span<const int64_t> recv_rows = {});

  const std::shared_ptr<Meeting> meeting_;
  const int rank_;
  int64_t sequence_ = 0;
};

}  // namespace torii::comm
