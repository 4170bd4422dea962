#include "comm/in_process/in_process_communicator.h"

#include <ATen/ATen.h>

#include <cstring>
#include <utility>
#include <vector>

#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "comm/reduce_in_rank_order.h"

namespace torii::comm {
namespace {

size_t RowBytes(const at::Tensor& tensor) {
  return static_cast<size_t>(RowElements(tensor)) * tensor.element_size();
}

// Copies between buffers that may be null when empty.
void CopyBytes(void* to, const void* from, size_t bytes) {
  if (bytes > 0 && to != from) {
    std::memcpy(to, from, bytes);
  }
}

bool IsOnDevice(const at::Tensor& tensor) {
  return tensor.defined() && !tensor.is_cpu() && !tensor.is_meta();
}

// Makes a call with a copy of `tensor` on the host, for which it waits: the ranks of a process may
// have different devices, or share one. call(host): a Status, or a StatusOr of a result on the host.
template <class Call>
auto OnHost(Op op, const at::Tensor& tensor, const Call& call) -> decltype(call(tensor)) {
  TORII_RETURN_IF_ERROR(CheckTensor(op, tensor));
  return call(tensor.cpu());
}

// The result of a call on the device of its input.
absl::StatusOr<at::Tensor> BackOn(const at::Tensor& in, absl::StatusOr<at::Tensor> result) {
  TORII_RETURN_IF_ERROR(result.status());
  return result->to(in.device());
}

std::byte* At(void* data, size_t offset) { return static_cast<std::byte*>(data) + offset; }
const std::byte* At(const void* data, size_t offset) {
  return static_cast<const std::byte*>(data) + offset;
}

}  // namespace

InProcessCommunicator::InProcessCommunicator(std::shared_ptr<Meeting> meeting, int rank)
    : calls_(std::move(meeting), rank), control_(calls_) {}

absl::StatusOr<Call> InProcessCommunicator::StartCall(Op op, const at::Tensor& tensor,
                                                      int64_t variant,
                                                      std::span<const int64_t> rows,
                                                      std::span<const int64_t> recv_rows) {
  Call call = DescribeCall(op, calls_.NextSequence(), tensor, rows, recv_rows);
  call.variant = variant;
  TORII_RETURN_IF_ERROR(CheckTensor(op, tensor));
  if (tensor.is_meta()) return CheckOnCpu(op, tensor, "in-process");
  TORII_RETURN_IF_ERROR(CheckCall(call, Rank{rank()}, WorldSize{world_size()}));
  return call;
}

absl::Status InProcessCommunicator::AllReduce(at::Tensor& tensor, ReduceOp op) {
  if (IsOnDevice(tensor) && world_size() > 1) {
    return OnHost(Op::kAllReduce, tensor, [&](at::Tensor host) -> absl::Status {
      TORII_RETURN_IF_ERROR(AllReduce(host, op));
      tensor.copy_(host);
      return absl::OkStatus();
    });
  }
  TORII_ASSIGN_OR_RETURN(const Call call,
                         StartCall(Op::kAllReduce, tensor, static_cast<int64_t>(op)));
  // Each rank reduces its part of the elements and writes it to all.
  const Range part = SplitEvenly(tensor.numel(), world_size(), rank());
  return calls_.Exchange(
      {&call, nullptr, tensor.mutable_data_ptr()}, [&](std::span<const Offer> offers) {
        std::vector<void*> tensors;
        for (const Offer& peer : offers) {
          tensors.push_back(peer.out);
        }
        if (tensors.size() == 1) return;
        const std::vector<const void*> inputs(tensors.begin(), tensors.end());
        ReduceInRankOrder(tensor.scalar_type(), op, inputs, tensors, part.begin, part.end);
      });
}

absl::StatusOr<at::Tensor> InProcessCommunicator::AllGatherV(const at::Tensor& in,
                                                             std::span<const int64_t> rows) {
  if (IsOnDevice(in)) {
    return BackOn(in, OnHost(Op::kAllGatherV, in,
                             [&](const at::Tensor& host) { return AllGatherV(host, rows); }));
  }
  TORII_ASSIGN_OR_RETURN(const Call call, StartCall(Op::kAllGatherV, in, 0, rows));
  at::Tensor out = EmptyRows(in, SumOfRows(rows));
  void* to = out.mutable_data_ptr();
  TORII_RETURN_IF_ERROR(
      calls_.Exchange({&call, in.const_data_ptr(), nullptr}, [&](std::span<const Offer> offers) {
        size_t offset = 0;
        for (size_t r = 0; r < offers.size(); ++r) {
          const size_t bytes = static_cast<size_t>(rows[r]) * RowBytes(in);
          CopyBytes(At(to, offset), offers[r].in, bytes);
          offset += bytes;
        }
      }));
  return out;
}

absl::StatusOr<at::Tensor> InProcessCommunicator::ReduceScatterV(const at::Tensor& in,
                                                                 std::span<const int64_t> rows) {
  if (IsOnDevice(in)) {
    return BackOn(in, OnHost(Op::kReduceScatterV, in,
                             [&](const at::Tensor& host) { return ReduceScatterV(host, rows); }));
  }
  TORII_ASSIGN_OR_RETURN(const Call call, StartCall(Op::kReduceScatterV, in, 0, rows));
  const size_t self = static_cast<size_t>(rank());
  at::Tensor out = EmptyRows(in, rows[self]);
  void* to = out.mutable_data_ptr();
  const size_t offset = static_cast<size_t>(SumOfRows(rows.first(self))) * RowBytes(in);
  TORII_RETURN_IF_ERROR(
      calls_.Exchange({&call, in.const_data_ptr(), nullptr}, [&](std::span<const Offer> offers) {
        std::vector<const void*> inputs;
        for (const Offer& peer : offers) {
          inputs.push_back(At(peer.in, offset));
        }
        ReduceInRankOrder(in.scalar_type(), ReduceOp::kSum, inputs, std::span(&to, 1), 0,
                          out.numel());
      }));
  return out;
}

absl::Status InProcessCommunicator::Broadcast(at::Tensor& tensor, int root) {
  if (IsOnDevice(tensor)) {
    return OnHost(Op::kBroadcast, tensor, [&](at::Tensor host) -> absl::Status {
      TORII_RETURN_IF_ERROR(Broadcast(host, root));
      tensor.copy_(host);
      return absl::OkStatus();
    });
  }
  TORII_ASSIGN_OR_RETURN(const Call call, StartCall(Op::kBroadcast, tensor, root));
  void* to = tensor.mutable_data_ptr();
  return calls_.Exchange({&call, to, nullptr}, [&](std::span<const Offer> offers) {
    if (rank() != root) {
      CopyBytes(to, offers[static_cast<size_t>(root)].in, tensor.nbytes());
    }
  });
}

absl::StatusOr<at::Tensor> InProcessCommunicator::AllToAllV(const at::Tensor& in,
                                                            std::span<const int64_t> send_rows,
                                                            std::span<const int64_t> recv_rows) {
  if (IsOnDevice(in)) {
    return BackOn(in, OnHost(Op::kAllToAllV, in, [&](const at::Tensor& host) {
                    return AllToAllV(host, send_rows, recv_rows);
                  }));
  }
  TORII_ASSIGN_OR_RETURN(const Call call, StartCall(Op::kAllToAllV, in, 0, send_rows, recv_rows));
  at::Tensor out = EmptyRows(in, SumOfRows(recv_rows));
  void* to = out.mutable_data_ptr();
  const auto self = static_cast<size_t>(rank());
  TORII_RETURN_IF_ERROR(
      calls_.Exchange({&call, in.const_data_ptr(), nullptr}, [&](std::span<const Offer> offers) {
        size_t offset = 0;
        for (size_t r = 0; r < offers.size(); ++r) {
          // My rows in r's tensor lie behind those it sends to the ranks before me.
          const std::span<const int64_t> before = offers[r].call->rows.first(self);
          const size_t from = static_cast<size_t>(SumOfRows(before)) * RowBytes(in);
          const size_t bytes = static_cast<size_t>(recv_rows[r]) * RowBytes(in);
          CopyBytes(At(to, offset), At(offers[r].in, from), bytes);
          offset += bytes;
        }
      }));
  return out;
}

absl::StatusOr<std::unique_ptr<Communicator>> InProcessCommunicator::Duplicate() {
  TORII_ASSIGN_OR_RETURN(std::shared_ptr<Meeting> meeting, calls_.AnotherMeeting());
  return std::make_unique<InProcessCommunicator>(std::move(meeting), rank());
}

void InProcessCommunicator::Abort(const absl::Status& reason) { calls_.Abort(reason); }

}  // namespace torii::comm
