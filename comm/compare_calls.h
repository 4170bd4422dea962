// The ranks of a group tell one another what they are about to call.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "comm/call.h"
#include "comm/control_plane.h"

namespace torii::comm {

// Collective over `control`: an error that names both sides, the same on every rank, when the calls
// differ; before that, what this rank can see alone (CheckCall).
absl::Status CompareCalls(ControlPlane& control, const Call& call);

}  // namespace torii::comm
