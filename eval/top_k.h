// Exact top-K lists (for recommend and exports): per-rank lists, merged. Ties: smaller item row
// first.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "eval/rank_targets.h"

namespace torii::eval {

struct ScoredItem {
  int64_t item = 0;
  float score = 0;
};

struct TopKRequest {
  std::vector<int64_t> users;       // the same on all ranks
  std::vector<int64_t> seen_begin;  // [users + 1]
  std::vector<int64_t> seen;        // items left out
  int64_t k = 10;
  int64_t batch_users = 1024;
};

// One list per user, best first, shorter than k if the corpus is. The same on all ranks, for every
// W. Collective.
absl::StatusOr<std::vector<std::vector<ScoredItem>>> TopK(comm::Communicator& comm,
                                                          const OwnedItems& items,
                                                          const TopKRequest& request,
                                                          const QueryFunction& query);

}  // namespace torii::eval
