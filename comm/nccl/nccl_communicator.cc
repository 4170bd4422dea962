#include "comm/nccl/nccl_communicator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "comm/call.h"
#include "comm/nccl/combine_in_rank_order.h"
#include "comm/nccl/host_calls.h"
#include "comm/nccl/nccl_channel.h"
#include "comm/nccl/nccl_requirements.h"
#include "comm/peer_status.h"

namespace torii::comm {
namespace {

NcclType TypeForSums(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return NcclType::kFloat32;
    case at::kDouble:
      return NcclType::kFloat64;
    case at::kLong:
      return NcclType::kInt64;
    case at::kInt:
      return NcclType::kInt32;
    case at::kByte:
      return NcclType::kUint8;
    default:
      TORII_CHECK(false, "no sums of ", c10::toString(dtype));
  }
}

size_t RowBytes(const at::Tensor& tensor) {
  return static_cast<size_t>(RowElements(tensor)) * tensor.element_size();
}

std::byte* At(void* data, size_t bytes) { return static_cast<std::byte*>(data) + bytes; }
const std::byte* At(const void* data, size_t bytes) {
  return static_cast<const std::byte*>(data) + bytes;
}

bool AllEqual(std::span<const int64_t> rows) {
  return std::ranges::adjacent_find(rows, std::not_equal_to()) == rows.end();
}

bool Failed(NcclResult result) {
  return result != NcclResult::kSuccess && result != NcclResult::kInProgress;
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> host, std::shared_ptr<NcclWorld> world,
                   std::shared_ptr<DeviceStreams> streams)
      : calls_(std::move(host), world),
        control_(calls_),
        world_(std::move(world)),
        streams_(std::move(streams)) {}
  ~NcclCommunicator() override {
    if (channel_ == nullptr) return;
    channel_->Close();
    world_->Remove(*channel_);
  }
  absl::Status Init() {
    TORII_ASSIGN_OR_RETURN(channel_, NcclChannel::Create(calls_.host(), world_, streams_));
    return absl::OkStatus();
  }

  int rank() const override { return calls_.host().rank(); }
  int world_size() const override { return calls_.host().world_size(); }
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
  void Abort(const absl::Status& reason) override {
    world_->End(FromPeer(rank(), reason)).IgnoreError();
    calls_.host().Abort(reason);
  }

 private:
  // Whether the host's communicator is the one for `tensor`.
  bool IsForHost(const at::Tensor& tensor) const {
    return tensor.defined() && tensor.device().is_cpu() && tensor.device() != streams_->device();
  }
  // Describes and checks the call and starts its clock.
  absl::Status StartCall(Op op, const at::Tensor& tensor, int64_t variant,
                         std::span<const int64_t> rows = {},
                         std::span<const int64_t> recv_rows = {});

  absl::Status GatherRows(const void* mine, at::Tensor& out, std::span<const int64_t> rows);
  absl::Status Exchange(const at::Tensor& in, std::span<const int64_t> send_rows, at::Tensor& out,
                        std::span<const int64_t> recv_rows);
  absl::Status ReduceInOrder(const at::Tensor& in, std::span<const int64_t> rows, ReduceOp op,
                             at::Tensor& out);
  absl::Status ReduceByNccl(const at::Tensor& in, std::span<const int64_t> rows, at::Tensor& out);
  bool NcclAdds() const { return world_->options().sums == ExchangeConfig::NCCL; }

  const HostCalls calls_;
  NcclControlPlane control_;
  const std::shared_ptr<NcclWorld> world_;
  const std::shared_ptr<DeviceStreams> streams_;
  std::shared_ptr<NcclChannel> channel_;
};

absl::Status NcclCommunicator::StartCall(Op op, const at::Tensor& tensor, int64_t variant,
                                         std::span<const int64_t> rows,
                                         std::span<const int64_t> recv_rows) {
  Call call = DescribeCall(op, channel_->NextSequence(), tensor, rows, recv_rows);
  call.variant = variant;
  TORII_RETURN_IF_ERROR(channel_->Start(call));
  TORII_RETURN_IF_ERROR(CheckTensor(op, tensor));
  if (tensor.device() != streams_->device()) {
    return InternalError(absl::StrCat(OpName(op), ": the tensor is on ", tensor.device().str(),
                                      ", the device of rank ", rank(), " is ",
                                      streams_->device().str(), "; copy it there or to the CPU"));
  }
  return CheckCall(call, Rank{rank()}, WorldSize{world_size()});
}

absl::Status NcclCommunicator::AllReduce(at::Tensor& tensor, ReduceOp op) {
  if (IsForHost(tensor)) {
    return calls_.Make([&](Communicator& host) { return host.AllReduce(tensor, op); });
  }
  TORII_RETURN_IF_ERROR(StartCall(Op::kAllReduce, tensor, static_cast<int64_t>(op)));
  if (tensor.numel() == 0) return absl::OkStatus();
  at::Tensor flat = tensor.view({-1});
  if (NcclAdds() && op == ReduceOp::kSum) {
    void* data = flat.mutable_data_ptr();
    return channel_->Run([&](NcclComm comm, NcclStream stream) {
      return world_->library().all_reduce_sum(data, data, static_cast<size_t>(flat.numel()),
                                              TypeForSums(flat.scalar_type()), comm, stream);
    });
  }
  // Each rank reduces its slice, then all gather the slices.
  std::vector<int64_t> sizes;
  for (int r = 0; r < world_size(); ++r) {
    sizes.push_back(SplitEvenly(flat.numel(), world_size(), r).size());
  }
  const Range part = SplitEvenly(flat.numel(), world_size(), rank());
  at::Tensor mine = flat.narrow(0, part.begin, part.size());
  TORII_RETURN_IF_ERROR(ReduceInOrder(flat, sizes, op, mine));
  return GatherRows(mine.const_data_ptr(), flat, sizes);
}

absl::StatusOr<at::Tensor> NcclCommunicator::AllGatherV(const at::Tensor& in,
                                                        std::span<const int64_t> rows) {
  if (IsForHost(in)) {
    return calls_.Make([&](Communicator& host) { return host.AllGatherV(in, rows); });
  }
  TORII_RETURN_IF_ERROR(StartCall(Op::kAllGatherV, in, 0, rows));
  at::Tensor out = EmptyRows(in, SumOfRows(rows));
  TORII_RETURN_IF_ERROR(GatherRows(in.const_data_ptr(), out, rows));
  return out;
}

absl::StatusOr<at::Tensor> NcclCommunicator::ReduceScatterV(const at::Tensor& in,
                                                            std::span<const int64_t> rows) {
  if (IsForHost(in)) {
    return calls_.Make([&](Communicator& host) { return host.ReduceScatterV(in, rows); });
  }
  TORII_RETURN_IF_ERROR(StartCall(Op::kReduceScatterV, in, 0, rows));
  at::Tensor out = EmptyRows(in, rows[static_cast<size_t>(rank())]);
  if (in.numel() == 0) return out;
  TORII_RETURN_IF_ERROR(NcclAdds() ? ReduceByNccl(in, rows, out)
                                   : ReduceInOrder(in, rows, ReduceOp::kSum, out));
  return out;
}

absl::Status NcclCommunicator::Broadcast(at::Tensor& tensor, int root) {
  if (IsForHost(tensor)) {
    return calls_.Make([&](Communicator& host) { return host.Broadcast(tensor, root); });
  }
  TORII_RETURN_IF_ERROR(StartCall(Op::kBroadcast, tensor, root));
  if (tensor.numel() == 0) return absl::OkStatus();
  void* data = tensor.mutable_data_ptr();
  return channel_->Run([&](NcclComm comm, NcclStream stream) {
    return world_->library().broadcast(data, data, tensor.nbytes(), NcclType::kUint8, root, comm,
                                       stream);
  });
}

absl::StatusOr<at::Tensor> NcclCommunicator::AllToAllV(const at::Tensor& in,
                                                       std::span<const int64_t> send_rows,
                                                       std::span<const int64_t> recv_rows) {
  if (IsForHost(in)) {
    return calls_.Make(
        [&](Communicator& host) { return host.AllToAllV(in, send_rows, recv_rows); });
  }
  TORII_RETURN_IF_ERROR(StartCall(Op::kAllToAllV, in, 0, send_rows, recv_rows));
  at::Tensor out = EmptyRows(in, SumOfRows(recv_rows));
  TORII_RETURN_IF_ERROR(Exchange(in, send_rows, out, recv_rows));
  return out;
}

// rows[rank] rows at `mine` (they may lie in their place of `out`) -> those of all ranks in `out`.
absl::Status NcclCommunicator::GatherRows(const void* mine, at::Tensor& out,
                                          std::span<const int64_t> rows) {
  if (out.numel() == 0) return absl::OkStatus();
  const NcclLibrary& nccl = world_->library();
  const size_t row = RowBytes(out);
  void* to = out.mutable_data_ptr();
  if (AllEqual(rows)) {
    return channel_->Run([&](NcclComm comm, NcclStream stream) {
      return nccl.all_gather(mine, to, static_cast<size_t>(rows[0]) * row, NcclType::kUint8, comm,
                             stream);
    });
  }
  return channel_->Run([&](NcclComm comm, NcclStream stream) {
    size_t offset = 0;
    for (int root = 0; root < world_size(); ++root) {
      const size_t bytes = static_cast<size_t>(rows[static_cast<size_t>(root)]) * row;
      if (bytes == 0) continue;
      const NcclResult result =
          nccl.broadcast(root == rank() ? mine : At(to, offset), At(to, offset), bytes,
                         NcclType::kUint8, root, comm, stream);
      if (Failed(result)) return result;
      offset += bytes;
    }
    return NcclResult::kSuccess;
  });
}

// send_rows[q] rows of `in` to each rank q, recv_rows[q] rows from it into `out`, both laid out in
// rank order. Empty messages are left out, on both sides of a pair alike.
absl::Status NcclCommunicator::Exchange(const at::Tensor& in, std::span<const int64_t> send_rows,
                                        at::Tensor& out, std::span<const int64_t> recv_rows) {
  if (in.numel() == 0 && out.numel() == 0) return absl::OkStatus();
  const NcclLibrary& nccl = world_->library();
  const size_t row = RowBytes(in);
  const void* from = in.const_data_ptr();
  void* to = out.mutable_data_ptr();
  return channel_->Run([&](NcclComm comm, NcclStream stream) {
    size_t sent = 0;
    size_t received = 0;
    for (int peer = 0; peer < world_size(); ++peer) {
      const size_t send = static_cast<size_t>(send_rows[static_cast<size_t>(peer)]) * row;
      const size_t recv = static_cast<size_t>(recv_rows[static_cast<size_t>(peer)]) * row;
      if (send > 0) {
        const NcclResult result =
            nccl.send(At(from, sent), send, NcclType::kUint8, peer, comm, stream);
        if (Failed(result)) return result;
      }
      if (recv > 0) {
        const NcclResult result =
            nccl.recv(At(to, received), recv, NcclType::kUint8, peer, comm, stream);
        if (Failed(result)) return result;
      }
      sent += send;
      received += recv;
    }
    return NcclResult::kSuccess;
  });
}

// This rank's slice [rows[rank], ...] of all ranks' tensors, combined in rank order -> out, which
// may be that slice of `in`.
absl::Status NcclCommunicator::ReduceInOrder(const at::Tensor& in, std::span<const int64_t> rows,
                                             ReduceOp op, at::Tensor& out) {
  const int64_t own = rows[static_cast<size_t>(rank())];
  at::Tensor staged = EmptyRows(in, own * world_size());
  const std::vector<int64_t> received(static_cast<size_t>(world_size()), own);
  TORII_RETURN_IF_ERROR(Exchange(in, rows, staged, received));
  if (out.numel() == 0) return absl::OkStatus();
  at::Tensor flat = out.view({-1});
  CombineInRankOrder(staged.view({world_size(), -1}), op, flat);
  return absl::OkStatus();
}

// The same sum in NCCL's order.
absl::Status NcclCommunicator::ReduceByNccl(const at::Tensor& in, std::span<const int64_t> rows,
                                            at::Tensor& out) {
  const NcclLibrary& nccl = world_->library();
  const NcclType type = TypeForSums(in.scalar_type());
  const void* from = in.const_data_ptr();
  void* to = out.mutable_data_ptr();
  if (AllEqual(rows)) {
    return channel_->Run([&](NcclComm comm, NcclStream stream) {
      return nccl.reduce_scatter_sum(from, to, static_cast<size_t>(out.numel()), type, comm,
                                     stream);
    });
  }
  return channel_->Run([&](NcclComm comm, NcclStream stream) {
    size_t offset = 0;
    for (int root = 0; root < world_size(); ++root) {
      const int64_t elements = rows[static_cast<size_t>(root)] * RowElements(in);
      if (elements == 0) continue;
      const NcclResult result =
          nccl.reduce_sum(At(from, offset), root == rank() ? to : nullptr,
                          static_cast<size_t>(elements), type, root, comm, stream);
      if (Failed(result)) return result;
      offset += static_cast<size_t>(elements) * in.element_size();
    }
    return NcclResult::kSuccess;
  });
}

absl::StatusOr<std::unique_ptr<Communicator>> NcclCommunicator::Duplicate() {
  TORII_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> host,
                         calls_.Make([](Communicator& own) { return own.Duplicate(); }));
  auto duplicate = std::make_unique<NcclCommunicator>(std::move(host), world_, streams_);
  TORII_RETURN_IF_ERROR(duplicate->Init());
  return duplicate;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Communicator>> CreateNccl(Communicator& host,
                                                         std::shared_ptr<NcclWorld> world,
                                                         std::shared_ptr<DeviceStreams> streams) {
  TORII_RETURN_IF_ERROR(CheckNcclRequirements(host.control(), world->library(), streams->Identity(),
                                              world->options().several_ranks_per_gpu));
  TORII_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> own, host.Duplicate());
  auto created =
      std::make_unique<NcclCommunicator>(std::move(own), std::move(world), std::move(streams));
  TORII_RETURN_IF_ERROR(created->Init());
  return created;
}

}  // namespace torii::comm
