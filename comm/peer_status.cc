#include "comm/peer_status.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/exit_code.h"

namespace torii::comm {
namespace {

constexpr char kPayloadUrl[] = "torii.peer";

}  // namespace

absl::Status FromPeer(int rank, const absl::Status& status) {
  if (status.ok()) return status;
  absl::Status told = Annotate(status, absl::StrCat("rank ", rank));
  told.SetPayload(kPayloadUrl, absl::Cord(absl::StrCat(rank)));
  return told;
}

bool IsFromPeer(const absl::Status& status) {
  return status.GetPayload(kPayloadUrl).has_value() || ExitCodeOf(status) == ExitCode::kPeerLost;
}

}  // namespace torii::comm
