// Exact distributed ranking: items are scored where they live; the rank of a held-out item is found
// by counting.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "base/config_rules.h"
#include "base/partition.h"
#include "comm/communicator.h"
#include "eval/eval.pb.h"
#include "kernels/ranking.h"

namespace torii::eval {

// Collects the rules that `config` breaks. `rules` are those of the message itself.
void Validate(const EvalConfig& config, const ConfigRules& rules);

// Held-out items of some users, in user order: the same on all ranks (built from the mapped
// dataset). Item lists hold item rows; target and seen lists of a user are disjoint and without
// repeats.
struct HeldOut {
  std::vector<int64_t> users;         // [n] user rows with at least one target
  std::vector<int64_t> target_begin;  // [n + 1]
  std::vector<int64_t> targets;
  std::vector<int64_t> seen_begin;  // [n + 1]
  std::vector<int64_t> seen;        // items left out of the ranking
  int64_t repeats_left_out = 0;     // held-out items that are no targets, because they were seen
};

// The vectors of some users [n, D] float32; collective: every rank calls it with its own users, n
// may be 0.
using QueryFunction = std::function<absl::StatusOr<at::Tensor>(std::span<const int64_t> users)>;

// The item vectors that this rank owns: row i belongs to item row corpus.Row(rank, i).
struct OwnedItems {
  at::Tensor vectors;  // [owned, D] float32, on the device
  Partition corpus;    // of all items over the ranks; each item has one owner
  kernels::Device device = kernels::Device::Cpu();
  // What a user thinks of an item; empty: the inner product of their vectors.
  kernels::ScoreFunction scores = {};
};

// Rank (from 1) of every target: 1 + unseen items with a higher score, or an equal score and a
// smaller row. The same numbers on all ranks and for every W. NaN scores are kDiverged, naming the
// user. Collective.
absl::StatusOr<std::vector<int64_t>> RankTargets(comm::Communicator& comm, const OwnedItems& items,
                                                 const HeldOut& held_out,
                                                 const QueryFunction& query, int64_t batch_users);

// The same for the ranking by descending count (ties: smaller row). Local.
std::vector<int64_t> RankTargetsByCount(std::span<const int64_t> item_counts,
                                        const HeldOut& held_out);

}  // namespace torii::eval
