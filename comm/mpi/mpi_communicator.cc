#include "comm/mpi/mpi_communicator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <limits>
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

absl::StatusOr<std::unique_ptr<Communicator>> MpiCommunicator::Create(
    MPI_Comm parent, MpiCommunicatorOptions options) {
  MPI_Comm comm = MPI_COMM_NULL;
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_dup(parent, &comm));
  std::unique_ptr<MpiCommunicator> created(new MpiCommunicator(comm, options));
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN));
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_rank(comm, &created->rank_));
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_size(comm, &created->world_size_));
  return std::unique_ptr<Communicator>(std::move(created));
}

MpiCommunicator::MpiCommunicator(MPI_Comm comm, MpiCommunicatorOptions options)
    : comm_(comm), options_(options) {}

MpiCommunicator::~MpiCommunicator() {
  if (broken_.ok() && !AbortIsUnderWay()) {
    MPI_Comm comm = comm_;
    TORII_MPI_STATUS(MPI_Comm_free(&comm)).IgnoreError();
  }
}

absl::Status MpiCommunicator::StartCall(Op op, const at::Tensor& tensor, int64_t variant,
                                        std::span<const int64_t> rows,
                                        std::span<const int64_t> recv_rows) {
  TORII_RETURN_IF_ERROR(broken_);
  call_ = DescribeCall(op, sequence_++, tensor, rows, recv_rows);
  call_.variant = variant;
  call_ends_ = std::chrono::steady_clock::now() + options_.deadline;
  if (op != Op::kBarrier) {
    TORII_RETURN_IF_ERROR(CheckTensor(op, tensor, "MPI"));
  }
  return CheckCall(call_, rank_, world_size_);
}

absl::Status MpiCommunicator::Run(std::vector<at::Tensor> buffers, const Post& post) {
  auto call = std::make_unique<PendingCall>();
  call->buffers = std::move(buffers);
  absl::Status status = post(*call);
  if (status.ok()) {
    status = WaitForAll(std::move(call), call_ends_);
  } else {
    KeepForEver(std::move(call));
  }
  if (absl::IsDeadlineExceeded(status)) {
    broken_ = PeerLostError(absl::StrCat("rank ", rank_, " waited ", options_.deadline.count(),
                                         " ms in ", ToText(call_), " for its peers"));
  } else if (!status.ok()) {
    broken_ = Annotate(status, ToText(call_));
  }
  return broken_;
}

int64_t MpiCommunicator::ChunkElements(const at::Tensor& tensor) const {
  return std::clamp<int64_t>(options_.chunk_bytes / ItemBytes(tensor), 1,
                             std::numeric_limits<int>::max());
}

int MpiCommunicator::Tag() const {
  constexpr int64_t kTags = 32767;  // what every MPI library has at least
  return static_cast<int>(call_.sequence % kTags);
}

absl::Status MpiCommunicator::AllReduce(at::Tensor& tensor, ReduceOp op) {
  TORII_RETURN_IF_ERROR(StartCall(Op::kAllReduce, tensor, static_cast<int64_t>(op)));
  if (world_size_ == 1) return absl::OkStatus();
  const int64_t bytes = static_cast<int64_t>(tensor.nbytes());
  if (bytes <= kSmallReduceBytes && bytes <= options_.chunk_bytes / world_size_) {
    return ReduceByGathering(tensor, op);
  }
  // Each rank reduces its slice, then all gather the slices.
  const Slices slices = Slices::Even(tensor.numel(), world_size_);
  void* own = At(tensor.mutable_data_ptr(), slices.offset(rank_) * ItemBytes(tensor));
  TORII_RETURN_IF_ERROR(ReduceSlices(tensor, op, slices, own));
  return GatherSlices(tensor, slices);
}

absl::Status MpiCommunicator::ReduceByGathering(at::Tensor& tensor, ReduceOp op) {
  const int64_t n = tensor.numel();
  at::Tensor all = at::empty({world_size_, n}, tensor.options());
  std::vector<const void*> inputs;
  for (int r = 0; r < world_size_; ++r) {
    inputs.push_back(At(all.const_data_ptr(), r * n * ItemBytes(tensor)));
  }
  void* result = tensor.mutable_data_ptr();
  TORII_RETURN_IF_ERROR(Run({tensor, all}, [&](PendingCall& call) {
    const MPI_Datatype type = MpiType(tensor.scalar_type());
    return TORII_MPI_STATUS(MPI_Iallgather(result, static_cast<int>(n), type,
                                           all.mutable_data_ptr(), static_cast<int>(n), type, comm_,
                                           call.AddRequest()));
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
  const int64_t chunk =
      std::clamp<int64_t>(std::min(ChunkElements(in), kStagingBytes / item), 1, INT32_MAX);
  const MPI_Datatype type = MpiType(in.scalar_type());
  const int64_t own = slices.size(rank_);
  const int64_t staged = std::min(chunk, own);
  at::Tensor staging = at::empty({world_size_, staged}, in.options());
  std::vector<const void*> inputs(static_cast<size_t>(world_size_));
  for (int64_t start = 0; start < slices.largest(); start += chunk) {
    const auto in_chunk = [&](int rank) {
      return static_cast<int>(std::clamp<int64_t>(slices.size(rank) - start, 0, chunk));
    };
    const auto post = [&](PendingCall& call) -> absl::Status {
      for (int step = 1; step < world_size_ && in_chunk(rank_) > 0; ++step) {
        const int from = (rank_ + world_size_ - step) % world_size_;
        TORII_MPI_RETURN_IF_ERROR(MPI_Irecv(At(staging.mutable_data_ptr(), from * staged * item),
                                            in_chunk(rank_), type, from, Tag(), comm_,
                                            call.AddRequest()));
      }
      for (int step = 1; step < world_size_; ++step) {
        const int to = (rank_ + step) % world_size_;
        if (in_chunk(to) > 0) {
          TORII_MPI_RETURN_IF_ERROR(
              MPI_Isend(At(in.const_data_ptr(), (slices.offset(to) + start) * item), in_chunk(to),
                        type, to, Tag(), comm_, call.AddRequest()));
        }
      }
      return absl::OkStatus();
    };
    TORII_RETURN_IF_ERROR(Run({in, staging}, post));
    for (int r = 0; r < world_size_; ++r) {
      inputs[static_cast<size_t>(r)] = At(staging.const_data_ptr(), r * staged * item);
    }
    inputs[static_cast<size_t>(rank_)] =
        At(in.const_data_ptr(), (slices.offset(rank_) + start) * item);
    void* to = At(out, start * item);
    ReduceInRankOrder(in.scalar_type(), op, inputs, std::span(&to, 1), 0, in_chunk(rank_));
  }
  return absl::OkStatus();
}

// Each rank's slice of `tensor` to all; this rank's is in place already.
absl::Status MpiCommunicator::GatherSlices(at::Tensor& tensor, const Slices& slices) {
  if (slices.total() > ChunkElements(tensor)) {
    for (int root = 0; root < world_size_; ++root) {
      TORII_RETURN_IF_ERROR(BroadcastElements(tensor, slices.offset(root),
                                              slices.offset(root) + slices.size(root), root));
    }
    return absl::OkStatus();
  }
  if (slices.total() == 0) {
    return absl::OkStatus();
  }
  return Run({tensor}, [&](PendingCall& call) {
    for (int r = 0; r < world_size_; ++r) {
      call.counts.push_back(static_cast<int>(slices.size(r)));
      call.displacements.push_back(static_cast<int>(slices.offset(r)));
    }
    const MPI_Datatype type = MpiType(tensor.scalar_type());
    return TORII_MPI_STATUS(MPI_Iallgatherv(MPI_IN_PLACE, 0, type, tensor.mutable_data_ptr(),
                                            call.counts.data(), call.displacements.data(), type,
                                            comm_, call.AddRequest()));
  });
}

// Elements [begin, end) of root's tensor to all, chunk by chunk.
absl::Status MpiCommunicator::BroadcastElements(at::Tensor& tensor, int64_t begin, int64_t end,
                                                int root) {
  const int64_t chunk = ChunkElements(tensor);
  for (int64_t start = begin; start < end; start += chunk) {
    TORII_RETURN_IF_ERROR(Run({tensor}, [&](PendingCall& call) {
      return TORII_MPI_STATUS(MPI_Ibcast(At(tensor.mutable_data_ptr(), start * ItemBytes(tensor)),
                                         static_cast<int>(std::min(chunk, end - start)),
                                         MpiType(tensor.scalar_type()), root, comm_,
                                         call.AddRequest()));
    }));
  }
  return absl::OkStatus();
}

absl::StatusOr<at::Tensor> MpiCommunicator::AllGatherV(const at::Tensor& in,
                                                       std::span<const int64_t> rows) {
  TORII_RETURN_IF_ERROR(StartCall(Op::kAllGatherV, in, 0, rows));
  if (world_size_ == 1) return in;
  at::Tensor out = EmptyRows(in, SumOfRows(rows));
  const Slices slices = Slices::OfRows(rows, RowElements(in));
  if (in.numel() > 0) {
    std::memcpy(At(out.mutable_data_ptr(), slices.offset(rank_) * ItemBytes(in)),
                in.const_data_ptr(), in.nbytes());
  }
  TORII_RETURN_IF_ERROR(GatherSlices(out, slices));
  return out;
}

absl::StatusOr<at::Tensor> MpiCommunicator::ReduceScatterV(const at::Tensor& in,
                                                           std::span<const int64_t> rows) {
  TORII_RETURN_IF_ERROR(StartCall(Op::kReduceScatterV, in, 0, rows));
  if (world_size_ == 1) return in;
  at::Tensor out = EmptyRows(in, rows[static_cast<size_t>(rank_)]);
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
  if (world_size_ == 1) return in;
  at::Tensor out = EmptyRows(in, SumOfRows(recv_rows));
  const Slices sent = Slices::OfRows(send_rows, RowElements(in));
  const Slices received = Slices::OfRows(recv_rows, RowElements(in));
  const int64_t item = ItemBytes(in);
  const int64_t chunk = ChunkElements(in);
  const MPI_Datatype type = MpiType(in.scalar_type());
  const auto post = [&](PendingCall& call) -> absl::Status {
    for (int step = 1; step < world_size_; ++step) {
      const int from = (rank_ + world_size_ - step) % world_size_;
      for (int64_t start = 0; start < received.size(from); start += chunk) {
        TORII_MPI_RETURN_IF_ERROR(
            MPI_Irecv(At(out.mutable_data_ptr(), (received.offset(from) + start) * item),
                      static_cast<int>(std::min(chunk, received.size(from) - start)), type, from,
                      Tag(), comm_, call.AddRequest()));
      }
    }
    for (int step = 1; step < world_size_; ++step) {
      const int to = (rank_ + step) % world_size_;
      for (int64_t start = 0; start < sent.size(to); start += chunk) {
        TORII_MPI_RETURN_IF_ERROR(
            MPI_Isend(At(in.const_data_ptr(), (sent.offset(to) + start) * item),
                      static_cast<int>(std::min(chunk, sent.size(to) - start)), type, to, Tag(),
                      comm_, call.AddRequest()));
      }
    }
    if (sent.size(rank_) > 0) {
      std::memcpy(At(out.mutable_data_ptr(), received.offset(rank_) * item),
                  At(in.const_data_ptr(), sent.offset(rank_) * item),
                  static_cast<size_t>(sent.size(rank_) * item));
    }
    return absl::OkStatus();
  };
  TORII_RETURN_IF_ERROR(Run({in, out}, post));
  return out;
}

absl::Status MpiCommunicator::Barrier() {
  TORII_RETURN_IF_ERROR(StartCall(Op::kBarrier, at::Tensor(), 0));
  return Run({}, [&](PendingCall& call) {
    return TORII_MPI_STATUS(MPI_Ibarrier(comm_, call.AddRequest()));
  });
}

void MpiCommunicator::Abort(const absl::Status& reason) { AbortWorld(rank_, reason); }

}  // namespace torii::comm
