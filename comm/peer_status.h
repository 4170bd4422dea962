// Failures of another rank, as a rank reports them.
#pragma once

#include "absl/status/status.h"

namespace torii::comm {

// The failure `status` of rank `rank`, for the other ranks: "rank 3: <message>" with the same exit
// code. OK stays OK.
absl::Status FromPeer(int rank, const absl::Status& status);

// Whether another rank has the cause: `status` was made by FromPeer (and annotated since, perhaps),
// or it is kPeerLost.
bool IsFromPeer(const absl::Status& status);

}  // namespace torii::comm
