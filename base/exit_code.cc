#include "base/exit_code.h"

#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace torii {
namespace {

constexpr char kPayloadUrl[] = "torii.exit_code";

absl::Status MakeError(absl::StatusCode status_code, ExitCode exit_code, std::string message) {
  absl::Status status(status_code, message);
  status.SetPayload(kPayloadUrl, absl::Cord(absl::StrCat(static_cast<int>(exit_code))));
  return status;
}

}  // namespace

absl::Status UsageError(std::string message) {
  return MakeError(absl::StatusCode::kInvalidArgument, ExitCode::kUsage, std::move(message));
}
absl::Status DataError(std::string message) {
  return MakeError(absl::StatusCode::kDataLoss, ExitCode::kData, std::move(message));
}
absl::Status NoInputError(std::string message) {
  return MakeError(absl::StatusCode::kNotFound, ExitCode::kNoInput, std::move(message));
}
absl::Status InternalError(std::string message) {
  return MakeError(absl::StatusCode::kInternal, ExitCode::kInternal, std::move(message));
}
absl::Status CannotCreateError(std::string message) {
  return MakeError(absl::StatusCode::kPermissionDenied, ExitCode::kCannotCreate,
                   std::move(message));
}
absl::Status IoError(std::string message) {
  return MakeError(absl::StatusCode::kUnknown, ExitCode::kIo, std::move(message));
}
absl::Status InterruptedError(std::string message) {
  return MakeError(absl::StatusCode::kCancelled, ExitCode::kInterrupted, std::move(message));
}
absl::Status PeerLostError(std::string message) {
  return MakeError(absl::StatusCode::kUnavailable, ExitCode::kPeerLost, std::move(message));
}
absl::Status ConfigError(std::string message) {
  return MakeError(absl::StatusCode::kInvalidArgument, ExitCode::kConfig, std::move(message));
}
absl::Status DivergedError(std::string message) {
  return MakeError(absl::StatusCode::kOutOfRange, ExitCode::kDiverged, std::move(message));
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return ExitCode::kOk;
  const auto payload = status.GetPayload(kPayloadUrl);
  int code = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &code)) {
    return ExitCode::kInternal;
  }
  return static_cast<ExitCode>(code);
}

absl::Status Annotate(const absl::Status& status, const std::string& context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload([&annotated](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

}  // namespace torii
