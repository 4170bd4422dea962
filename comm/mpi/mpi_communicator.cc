#include "comm/mpi/mpi_communicator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "base/split_evenly.h"
#include "comm/mpi/mpi_status.h"
#include "comm/reduce_in_rank_order.h"

namespace torii::comm {
namespace {

// Up to this size an all-reduce gathers everything in one message per pair instead of two rounds.
constexpr int64_t kSmallReduceBytes = 8 << 10;
// What is received per peer before it is summed: small enough to be still in the cache then.
constexpr int64_t kStagingBytes = 1 << 20;

// For moving, not for reducing: bfloat16 travels as two bytes.
MPI_Datatype MpiType(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return MPI_FLOAT;
    case at::kDouble:
      return MPI_DOUBLE;
    case at::kLong:
      return MPI_INT64_T;
    case at::kInt:
      return MPI_INT32_T;
    case at::kByte:
      return MPI_UINT8_T;
    case at::kBFloat16:
      return MPI_UINT16_T;
    default:
      TORII_CHECK(false, "no MPI type for ", c10::toString(dtype));
  }
}

std::byte* At(void* data, int64_t bytes) { return static_cast<std::byte*>(data) + bytes; }
const std::byte* At(const void* data, int64_t bytes) {
  return static_cast<const std::byte*>(data) + bytes;
}

int64_t ItemBytes(const at::Tensor& tensor) { return static_cast<int64_t>(tensor.element_size()); }

}  // namespace

// How the elements of a tensor are divided over the ranks.
struct MpiCommunicator::Slices {
  std::vector<int64_t> begin;  // [W + 1] element offsets

  static Slices OfRows(std::span<const int64_t> rows, int64_t row_elements) {
    Slices slices{{0}};
    for (const int64_t n : rows) {
      slices.begin.push_back(slices.begin.back() + n * row_elements);
    }
    return slices;
  }
  static Slices Even(int64_t elements, int world_size) {
    Slices slices{{0}};
    for (int r = 0; r < world_size; ++r) {
      slices.begin.push_back(SplitEvenly(elements, world_size, r).end);
    }
    return slices;
  }
  int64_t offset(int rank) const { return begin[static_cast<size_t>(rank)]; }
  int64_t size(int rank) const { return begin[static_cast<size_t>(rank) + 1] - offset(rank); }
  int64_t total() const { return begin.back(); }
  int64_t largest() const {
    int64_t most = 0;
    for (size_t r = 0; r + 1 < begin.size(); ++r) {
      most = std::max(most, begin[r + 1] - begin[r]);
    }
    return most;
  }
};

absl::StatusOr<std::unique_ptr<Communicator>> MpiCommunicator::Create(MPI_Comm parent,
                                                                      MpiOptions options) {
  const auto failure = std::make_shared<absl::Status>();
  TORII_ASSIGN_OR_RETURN(auto channel, MpiChannel::Create(parent, options, failure));
  TORII_ASSIGN_OR_RETURN(auto control, MpiChannel::Create(parent, options, failure));
  return std::unique_ptr<Communicator>(new MpiCommunicator(std::move(channel), std::move(control)));
}

MpiCommunicator::MpiCommunicator(std::unique_ptr<MpiChannel> channel,
                                 std::unique_ptr<MpiChannel> control)
    : channel_(std::move(channel)), control_(std::move(control)) {}

absl::Status MpiCommunicator::StartCall(Op op, const at::Tensor& tensor, int64_t variant,
                                        std::span<const int64_t> rows,
                                        std::span<const int64_t> recv_rows) {
  Call call = DescribeCall(op, channel_->NextSequence(), tensor, rows, recv_rows);
  call.variant = variant;
  TORII_RETURN_IF_ERROR(channel_->Start(call));
  TORII_RETURN_IF_ERROR(CheckTensor(op, tensor, "MPI"));
  return CheckCall(call, rank(), world_size());
}

absl::Status MpiCommunicator::AllReduce(at::Tensor& tensor, ReduceOp op) {
  TORII_RETURN_IF_ERROR(StartCall(Op::kAllReduce, tensor, static_cast<int64_t>(op)));
  if (world_size() == 1) return absl::OkStatus();
  const int64_t bytes = static_cast<int64_t>(tensor.nbytes());
  if (bytes <= kSmallReduceBytes && bytes <= channel_->options().chunk_bytes / world_size()) {
    return ReduceByGathering(tensor, op);
  }
  // Each rank reduces its slice, then all gather the slices.
  const Slices slices = Slices::Even(tensor.numel(), world_size());
  void* own = At(tensor.mutable_data_ptr(), slices.offset(rank()) * ItemBytes(tensor));
  TORII_RETURN_IF_ERROR(ReduceSlices(tensor, op, slices, own));
  return GatherSlices(tensor, slices);
}

absl::Status MpiCommunicator::ReduceByGathering(at::Tensor& tensor, ReduceOp op) {
  const int64_t n = tensor.numel();
  at::Tensor all = at::empty({world_size(), n}, tensor.options());
  std::vector<const void*> inputs;
  for (int r = 0; r < world_size(); ++r) {
    inputs.push_back(At(all.const_data_ptr(), r * n * ItemBytes(tensor)));
  }
  void* result = tensor.mutable_data_ptr();
  TORII_RETURN_IF_ERROR(channel_->Run({tensor, all}, [&](PendingCall& call) {
    const MPI_Datatype type = MpiType(tensor.scalar_type());
    return TORII_MPI_STATUS(MPI_Iallgather(result, static_cast<int>(n), type,
                                           all.mutable_data_ptr(), static_cast<int>(n), type,
                                           channel_->comm(), call.AddRequest()));
  }));
  ReduceInRankOrder(tensor.scalar_type(), op, inputs, std::span(&result, 1), 0, n);
  return absl::OkStatus();
}

// Sends each peer its slice of `in` and reduces what the peers send of this rank's slice into `out`
// [slices.size(rank)], which may be that slice of `in` itself. In rounds, each of one chunk per
// peer.
absl::Status MpiCommunicator::ReduceSlices(const at::Tensor& in, ReduceOp op, const Slices& slices,
                                           void* out) {
  const int64_t item = ItemBytes(in);
  const int64_t chunk = std::clamp<int64_t>(
      std::min(channel_->ChunkElements(item), kStagingBytes / item), 1, INT32_MAX);
  const MPI_Datatype type = MpiType(in.scalar_type());
  const int64_t own = slices.size(rank());
  const int64_t staged = std::min(chunk, own);
  at::Tensor staging = at::empty({world_size(), staged}, in.options());
  std::vector<const void*> inputs(static_cast<size_t>(world_size()));
  for (int64_t start = 0; start < slices.largest(); start += chunk) {
    const auto in_chunk = [&](int rank) {
      return static_cast<int>(std::clamp<int64_t>(slices.size(rank) - start, 0, chunk));
    };
    const auto post = [&](PendingCall& call) -> absl::Status {
      for (int step = 1; step < world_size() && in_chunk(rank()) > 0; ++step) {
        const int from = (rank() + world_size() - step) % world_size();
        TORII_MPI_RETURN_IF_ERROR(MPI_Irecv(At(staging.mutable_data_ptr(), from * staged * item),
                                            in_chunk(rank()), type, from, channel_->Tag(),
                                            channel_->comm(), call.AddRequest()));
      }
      for (int step = 1; step < world_size(); ++step) {
        const int to = (rank() + step) % world_size();
        if (in_chunk(to) > 0) {
          TORII_MPI_RETURN_IF_ERROR(
              MPI_Isend(At(in.const_data_ptr(), (slices.offset(to) + start) * item), in_chunk(to),
                        type, to, channel_->Tag(), channel_->comm(), call.AddRequest()));
        }
      }
      return absl::OkStatus();
    };
    TORII_RETURN_IF_ERROR(channel_->Run({in, staging}, post));
    for (int r = 0; r < world_size(); ++r) {
      inputs[static_cast<size_t>(r)] = At(staging.const_data_ptr(), r * staged * item);
    }
    inputs[static_cast<size_t>(rank())] =
        At(in.const_data_ptr(), (slices.offset(rank()) + start) * item);
    void* to = At(out, start * item);
    ReduceInRankOrder(in.scalar_type(), op, inputs, std::span(&to, 1), 0, in_chunk(rank()));
  }
  return absl::OkStatus();
}

// Each rank's slice of `tensor` to all; this rank's is in place already.
absl::Status MpiCommunicator::GatherSlices(at::Tensor& tensor, const Slices& slices) {
  if (slices.total() > channel_->ChunkElements(ItemBytes(tensor))) {
    for (int root = 0; root < world_size(); ++root) {
      TORII_RETURN_IF_ERROR(BroadcastElements(tensor, slices.offset(root),
                                              slices.offset(root) + slices.size(root), root));
    }
    return absl::OkStatus();
  }
  if (slices.total() == 0) {
    return absl::OkStatus();
  }
  return channel_->Run({tensor}, [&](PendingCall& call) {
    for (int r = 0; r < world_size(); ++r) {
      call.counts.push_back(static_cast<int>(slices.size(r)));
      call.displacements.push_back(static_cast<int>(slices.offset(r)));
    }
    const MPI_Datatype type = MpiType(tensor.scalar_type());
    return TORII_MPI_STATUS(MPI_Iallgatherv(MPI_IN_PLACE, 0, type, tensor.mutable_data_ptr(),
                                            call.counts.data(), call.displacements.data(), type,
                                            channel_->comm(), call.AddRequest()));
  });
}

// Elements [begin, end) of root's tensor to all, chunk by chunk.
absl::Status MpiCommunicator::BroadcastElements(at::Tensor& tensor, int64_t begin, int64_t end,
                                                int root) {
  const int64_t chunk = channel_->ChunkElements(ItemBytes(tensor));
  for (int64_t start = begin; start < end; start += chunk) {
    TORII_RETURN_IF_ERROR(channel_->Run({tensor}, [&](PendingCall& call) {
      return TORII_MPI_STATUS(MPI_Ibcast(At(tensor.mutable_data_ptr(), start * ItemBytes(tensor)),
                                         static_cast<int>(std::min(chunk, end - start)),
                                         MpiType(tensor.scalar_type()), root, channel_->comm(),
                                         call.AddRequest()));
    }));
  }
  return absl::OkStatus();
}

absl::StatusOr<at::Tensor> MpiCommunicator::AllGatherV(const at::Tensor& in,
                                                       std::span<const int64_t> rows) {
  TORII_RETURN_IF_ERROR(StartCall(Op::kAllGatherV, in, 0, rows));
  if (world_size() == 1) return in;
  at::Tensor out = EmptyRows(in, SumOfRows(rows));
  const Slices slices = Slices::OfRows(rows, RowElements(in));
  if (in.numel() > 0) {
    std::memcpy(At(out.mutable_data_ptr(), slices.offset(rank()) * ItemBytes(in)),
                in.const_data_ptr(), in.nbytes());
  }
  TORII_RETURN_IF_ERROR(GatherSlices(out, slices));
  return out;
}

absl::StatusOr<at::Tensor> MpiCommunicator::ReduceScatterV(const at::Tensor& in,
                                                           std::span<const int64_t> rows) {
  TORII_RETURN_IF_ERROR(StartCall(Op::kReduceScatterV, in, 0, rows));
  if (world_size() == 1) return in;
  at::Tensor out = EmptyRows(in, rows[static_cast<size_t>(rank())]);
  TORII_RETURN_IF_ERROR(ReduceSlices(in, ReduceOp::kSum, Slices::OfRows(rows, RowElements(in)),
                                     out.mutable_data_ptr()));
  return out;
}

absl::Status MpiCommunicator::Broadcast(at::Tensor& tensor, int root) {
  TORII_RETURN_IF_ERROR(StartCall(Op::kBroadcast, tensor, root));
  return BroadcastElements(tensor, 0, tensor.numel(), root);
}

// Pair by pair in chunks: both sides of a pair know its size, so nothing else has to be agreed on.
absl::StatusOr<at::Tensor> MpiCommunicator::AllToAllV(const at::Tensor& in,
                                                      std::span<const int64_t> send_rows,
                                                      std::span<const int64_t> recv_rows) {
  TORII_RETURN_IF_ERROR(StartCall(Op::kAllToAllV, in, 0, send_rows, recv_rows));
  if (world_size() == 1) return in;
  at::Tensor out = EmptyRows(in, SumOfRows(recv_rows));
  const Slices sent = Slices::OfRows(send_rows, RowElements(in));
  const Slices received = Slices::OfRows(recv_rows, RowElements(in));
  const int64_t item = ItemBytes(in);
  const int64_t chunk = channel_->ChunkElements(item);
  const MPI_Datatype type = MpiType(in.scalar_type());
  const auto post = [&](PendingCall& call) -> absl::Status {
    for (int step = 1; step < world_size(); ++step) {
      const int from = (rank() + world_size() - step) % world_size();
      for (int64_t start = 0; start < received.size(from); start += chunk) {
        TORII_MPI_RETURN_IF_ERROR(
            MPI_Irecv(At(out.mutable_data_ptr(), (received.offset(from) + start) * item),
                      static_cast<int>(std::min(chunk, received.size(from) - start)), type, from,
                      channel_->Tag(), channel_->comm(), call.AddRequest()));
      }
    }
    for (int step = 1; step < world_size(); ++step) {
      const int to = (rank() + step) % world_size();
      for (int64_t start = 0; start < sent.size(to); start += chunk) {
        TORII_MPI_RETURN_IF_ERROR(
            MPI_Isend(At(in.const_data_ptr(), (sent.offset(to) + start) * item),
                      static_cast<int>(std::min(chunk, sent.size(to) - start)), type, to,
                      channel_->Tag(), channel_->comm(), call.AddRequest()));
      }
    }
    if (sent.size(rank()) > 0) {
      std::memcpy(At(out.mutable_data_ptr(), received.offset(rank()) * item),
                  At(in.const_data_ptr(), sent.offset(rank()) * item),
                  static_cast<size_t>(sent.size(rank()) * item));
    }
    return absl::OkStatus();
  };
  TORII_RETURN_IF_ERROR(channel_->Run({in, out}, post));
  return out;
}

void MpiCommunicator::Abort(const absl::Status& reason) { AbortWorld(rank(), reason); }

}  // namespace torii::comm
