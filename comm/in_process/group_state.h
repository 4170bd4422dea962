// What the meetings of one in-process group share: its size, its limits, one lock, and the reason
// why it ended.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "comm/in_process/rank_group_options.h"

namespace torii::comm {

struct GroupState {
  GroupState(int ranks, const RankGroupOptions& limits) : world_size(ranks), options(limits) {}

  // With `mutex` held: ends the group and wakes everybody who waits in any of its meetings.
  void Break(const absl::Status& reason) {
    broken = reason;
    for (std::condition_variable* meeting : meetings) meeting->notify_all();
  }

  const int world_size;
  const RankGroupOptions options;
  std::mutex mutex;
  absl::Status broken;     // OK while the group lives
  int breaking_rank = -1;  // the rank that called Abort first
  std::vector<std::condition_variable*> meetings;
};

}  // namespace torii::comm
