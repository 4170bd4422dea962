// The in-process back end: W ranks are W threads of this process. The single-node debug mode
// (torii train --ranks 4) and what most tests use.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "comm/communicator.h"
#include "comm/in_process/rank_group_options.h"

namespace torii::comm {

// One communicator for each of `world_size` ranks of a new group. Each may outlive the others; a
// rank whose communicator is destroyed while peers wait breaks the group.
std::vector<std::unique_ptr<Communicator>> CreateInProcessGroup(int world_size,
                                                                RankGroupOptions options = {});

// Runs `body` on `world_size` ranks, each in a thread of its own (rank 0 in the calling thread),
// with one intra-op thread each when world_size > 1. A rank that returns an error or throws aborts
// the group. Returns the error of the rank that failed first.
absl::Status RunRanks(int world_size, const std::function<absl::Status(Communicator&)>& body,
                      RankGroupOptions options = {});

}  // namespace torii::comm
