// Limits of an in-process group.
#pragma once

#include <chrono>

namespace torii::comm {

struct RankGroupOptions {
  // A collective that waits longer for its peers fails with kPeerLost.
  std::chrono::milliseconds deadline = std::chrono::minutes(10);
  // After so long a wait a warning names the call and the ranks that are missing.
  std::chrono::milliseconds warn_after = std::chrono::seconds(10);
};

}  // namespace torii::comm
