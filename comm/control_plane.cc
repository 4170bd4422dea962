#include "comm/control_plane.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "comm/peer_status.h"
#include "comm/reduce_in_rank_order.h"

namespace torii::comm {
namespace {

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

template <typename T>
absl::StatusOr<T> ReduceValue(ControlPlane& control, T mine, at::ScalarType dtype, ReduceOp op) {
  TORII_ASSIGN_OR_RETURN(const std::vector<T> all, AllGatherValue(control, mine));
  std::vector<const void*> inputs;
  for (const T& value : all) inputs.push_back(&value);
  T result;
  void* const output = &result;
  ReduceInRankOrder(dtype, op, inputs, std::span(&output, 1), 0, 1);
  return result;
}

std::span<const std::byte> BytesOf(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

absl::StatusOr<int64_t> AllReduceValue(ControlPlane& control, int64_t mine, ReduceOp op) {
  return ReduceValue(control, mine, at::kLong, op);
}

absl::StatusOr<double> AllReduceValue(ControlPlane& control, double mine, ReduceOp op) {
  return ReduceValue(control, mine, at::kDouble, op);
}

absl::StatusOr<std::vector<int64_t>> ExchangeCounts(ControlPlane& control,
                                                    std::span<const int64_t> send_rows) {
  std::vector<int64_t> recv_rows(send_rows.size());
  TORII_RETURN_IF_ERROR(control.AllToAll(send_rows, recv_rows));
  return recv_rows;
}

absl::StatusOr<std::string> BroadcastText(ControlPlane& control, const std::string& text,
                                          int root) {
  if (root < 0 || root >= control.world_size()) {
    return InternalError(absl::StrCat("BroadcastText from rank ", root,
                                      ": the world has ranks 0 to ", control.world_size() - 1));
  }
  const bool is_root = control.rank() == root;
  TORII_ASSIGN_OR_RETURN(
      std::vector<int64_t> sizes,
      AllGatherValue(control, is_root ? static_cast<int64_t>(text.size()) : int64_t{0}));
  std::string all(static_cast<size_t>(sizes[static_cast<size_t>(root)]), '\0');
  TORII_RETURN_IF_ERROR(
      control.AllGatherBytes(is_root ? BytesOf(text) : std::span<const std::byte>(), sizes,
                             std::as_writable_bytes(std::span(all.data(), all.size()))));
  return all;
}

absl::StatusOr<std::vector<std::string>> AllGatherTexts(ControlPlane& control,
                                                        const std::string& mine) {
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes,
                         AllGatherValue(control, static_cast<int64_t>(mine.size())));
  size_t total = 0;
  for (const int64_t size : sizes) total += static_cast<size_t>(size);
  std::string all(total, '\0');
  TORII_RETURN_IF_ERROR(control.AllGatherBytes(
      BytesOf(mine), sizes, std::as_writable_bytes(std::span(all.data(), all.size()))));
  std::vector<std::string> texts;
  size_t begin = 0;
  for (const int64_t size : sizes) {
    texts.push_back(all.substr(begin, static_cast<size_t>(size)));
    begin += static_cast<size_t>(size);
  }
  return texts;
}

absl::Status AgreeOnStatus(ControlPlane& control, const absl::Status& mine) {
  const int64_t code = mine.ok() ? 0 : static_cast<int64_t>(ExitCodeOf(mine));
  const absl::StatusOr<std::vector<int64_t>> codes = AllGatherValue(control, code);
  if (!codes.ok()) {
    return mine.ok() ? codes.status() : mine;
  }
  int failed = 0;
  while (failed < control.world_size() && (*codes)[static_cast<size_t>(failed)] == 0) {
    ++failed;
  }
  if (failed == control.world_size()) {
    return absl::OkStatus();
  }
  const absl::StatusOr<std::string> message =
      BroadcastText(control, std::string(mine.message()), failed);
  if (!mine.ok()) {
    return mine;
  }
  TORII_RETURN_IF_ERROR(message.status());
  return FromPeer(
      failed,
      ErrorWithCode(static_cast<ExitCode>((*codes)[static_cast<size_t>(failed)]), *message));
}

absl::Status Barrier(ControlPlane& control) {
  return AllGatherValue(control, std::byte{0}).status();
}

}  // namespace torii::comm
