// What ranking by counting and top-K lists share: the owned items made ready for scoring, and the
// query vectors of one batch of users on every rank.
#pragma once

#include <cstdint>
#include <span>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "base/partition.h"
#include "comm/communicator.h"
#include "eval/rank_targets.h"
#include "kernels/ranking.h"

namespace torii::eval {

// This rank's items: slot i holds item row corpus.Row(rank, i).
struct ScoringItems {
  kernels::Device device;
  kernels::RankedItems items;
  double largest = 0;  // greatest magnitude of any element on any rank
  Partition corpus;
};

// Checks the items and makes them ready. A value that is not finite is kDiverged, naming the item
// row; a partition or a count that does not fit the world is kInternal. Collective; an error on one
// rank is an error on all.
absl::StatusOr<ScoringItems> PrepareItems(comm::Communicator& comm, const OwnedItems& items);

// The query vectors [users, D] of a batch, the same on all ranks: each rank computes an even part
// of them. A vector that is not finite, or so large that a score would not be, is kDiverged, naming
// the user row. Collective; an error on one rank is an error on all.
absl::StatusOr<at::Tensor> GatherQueries(comm::Communicator& comm, const ScoringItems& items,
                                         std::span<const int64_t> users,
                                         const QueryFunction& query);

}  // namespace torii::eval
