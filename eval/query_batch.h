// What ranking by counting and top-K lists share: the owned items made ready for scoring, and the
// query vectors of one batch of users on every rank.
#pragma once

#include <cstdint>
#include <span>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "eval/rank_targets.h"
#include "kernels/cpu/ranking/score.h"

namespace torii::eval {

// This rank's items: slot i holds item row rank + i * W. Does not own the tensor's memory beyond
// `vectors`.
struct ScoringItems {
  at::Tensor vectors;                  // [owned, D] float32, contiguous
  kernels::cpu::PackedVectors packed;  // the same, for the kernels
  double largest = 0;                  // greatest magnitude of any element on any rank
  int64_t total_items = 0;

  const float* slot(int64_t i) const { return vectors.const_data_ptr<float>() + i * packed.dim(); }
};

// Checks the items and packs them. A value that is not finite is kDiverged, naming the item row; a
// count that does not fit the world is kInternal. Collective; an error on one rank is an error on
// all.
absl::StatusOr<ScoringItems> PrepareItems(comm::Communicator& comm, const OwnedItems& items);

// The query vectors [users, D] of a batch, the same on all ranks: each rank computes an even part
// of them. A vector that is not finite, or so large that a score would not be, is kDiverged, naming
// the user row. Collective; an error on one rank is an error on all.
absl::StatusOr<at::Tensor> GatherQueries(comm::Communicator& comm, const ScoringItems& items,
                                         std::span<const int64_t> users,
                                         const QueryFunction& query);

}  // namespace torii::eval
