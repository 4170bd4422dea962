#include "comm/communicator.h"

#include <ATen/ATen.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/int64_tensor.h"
#include "base/status_macros.h"

namespace torii::comm {
namespace {

std::vector<int64_t> OneRowEach(const Communicator& comm) {
  return std::vector<int64_t>(static_cast<size_t>(comm.world_size()), 1);
}

absl::Status ErrorWithCode(ExitCode code, std::string message) {
  switch (code) {
    case ExitCode::kUsage:
      return UsageError(std::move(message));
    case ExitCode::kData:
      return DataError(std::move(message));
    case ExitCode::kNoInput:
      return NoInputError(std::move(message));
    case ExitCode::kCannotCreate:
      return CannotCreateError(std::move(message));
    case ExitCode::kIo:
      return IoError(std::move(message));
    case ExitCode::kInterrupted:
      return InterruptedError(std::move(message));
    case ExitCode::kPeerLost:
      return PeerLostError(std::move(message));
    case ExitCode::kConfig:
      return ConfigError(std::move(message));
    case ExitCode::kDiverged:
      return DivergedError(std::move(message));
    case ExitCode::kOk:
    case ExitCode::kInternal:
      break;
  }
  return InternalError(std::move(message));
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> AllGatherValue(Communicator& comm, int64_t value) {
  TORII_ASSIGN_OR_RETURN(at::Tensor all,
                         comm.AllGatherV(TensorOf(std::span(&value, 1)), OneRowEach(comm)));
  return VectorOf(all);
}

absl::StatusOr<at::Tensor> AllGatherRows(Communicator& comm, const at::Tensor& in) {
  if (!in.defined() || in.dim() == 0) {
    return InternalError("AllGatherRows: the tensor has no first dimension");
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> rows, AllGatherValue(comm, in.size(0)));
  return comm.AllGatherV(in, rows);
}

absl::StatusOr<std::vector<int64_t>> ExchangeCounts(Communicator& comm,
                                                    std::span<const int64_t> send_rows) {
  const std::vector<int64_t> ones = OneRowEach(comm);
  TORII_ASSIGN_OR_RETURN(at::Tensor received, comm.AllToAllV(TensorOf(send_rows), ones, ones));
  return VectorOf(received);
}

absl::StatusOr<int64_t> AllReduceValue(Communicator& comm, int64_t value, ReduceOp op) {
  at::Tensor tensor = TensorOf(std::span(&value, 1));
  TORII_RETURN_IF_ERROR(comm.AllReduce(tensor, op));
  return *tensor.const_data_ptr<int64_t>();
}

absl::StatusOr<double> AllReduceValue(Communicator& comm, double value, ReduceOp op) {
  at::Tensor tensor = at::empty({1}, at::kDouble);
  *tensor.mutable_data_ptr<double>() = value;
  TORII_RETURN_IF_ERROR(comm.AllReduce(tensor, op));
  return *tensor.const_data_ptr<double>();
}

absl::Status AgreeOnStatus(Communicator& comm, const absl::Status& mine) {
  const int64_t code = mine.ok() ? 0 : static_cast<int64_t>(ExitCodeOf(mine));
  const absl::StatusOr<std::vector<int64_t>> codes = AllGatherValue(comm, code);
  if (!codes.ok()) {
    return mine.ok() ? codes.status() : mine;
  }
  int failed = 0;
  while (failed < comm.world_size() && (*codes)[static_cast<size_t>(failed)] == 0) {
    ++failed;
  }
  if (failed == comm.world_size()) {
    return absl::OkStatus();
  }
  const absl::StatusOr<std::string> message =
      BroadcastText(comm, std::string(mine.message()), failed);
  if (!mine.ok()) {
    return mine;
  }
  TORII_RETURN_IF_ERROR(message.status());
  return ErrorWithCode(static_cast<ExitCode>((*codes)[static_cast<size_t>(failed)]),
                       absl::StrCat("rank ", failed, ": ", *message));
}

absl::StatusOr<std::string> BroadcastText(Communicator& comm, const std::string& text, int root) {
  int64_t size = static_cast<int64_t>(text.size());
  at::Tensor length = TensorOf(std::span(&size, 1));
  TORII_RETURN_IF_ERROR(comm.Broadcast(length, root));
  size = *length.const_data_ptr<int64_t>();
  at::Tensor bytes = at::empty({size}, at::kByte);
  if (size > 0 && comm.rank() == root) {
    std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
  }
  TORII_RETURN_IF_ERROR(comm.Broadcast(bytes, root));
  return std::string(static_cast<const char*>(bytes.const_data_ptr()), static_cast<size_t>(size));
}

}  // namespace torii::comm
