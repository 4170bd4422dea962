// Limits of an in-process group.
#pragma once

#include <chrono>

namespace torii::comm {

struct RankGroupOptions {
  // How long a collective waits for its peers; then it fails with kPeerLost.
  std::chrono::milliseconds deadline = std::chrono::minutes(10);
  // After this wait a warning names the call and the ranks that are missing.
  std::chrono::milliseconds warn_after = std::chrono::seconds(10);
};

}  // namespace torii::comm
