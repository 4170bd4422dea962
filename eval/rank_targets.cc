#include "eval/rank_targets.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "eval/query_batch.h"
#include "eval/seen_slots.h"
#include "kernels/host_tensors.h"
#include "kernels/ranking.h"

namespace torii::eval {
namespace {

// The users [begin, end) of `held_out` and the range of their targets.
struct Batch {
  Range users;
  Range targets;
};

Batch BatchAt(const HeldOut& held_out, int64_t begin, int64_t batch_users) {
  const int64_t end = std::min(begin + batch_users, static_cast<int64_t>(held_out.users.size()));
  return {{begin, end},
          {held_out.target_begin[static_cast<size_t>(begin)],
           held_out.target_begin[static_cast<size_t>(end)]}};
}

absl::Status CheckHeldOut(const HeldOut& held_out, int64_t total_items) {
  const size_t n = held_out.users.size();
  if (held_out.target_begin.size() != n + 1 || held_out.seen_begin.size() != n + 1 ||
      held_out.target_begin.back() != static_cast<int64_t>(held_out.targets.size()) ||
      held_out.seen_begin.back() != static_cast<int64_t>(held_out.seen.size())) {
    return InternalError(absl::StrCat("held-out lists of ", n, " users do not fit together"));
  }
  for (const auto* list : {&held_out.targets, &held_out.seen}) {
    for (const int64_t item : *list) {
      if (item < 0 || item >= total_items) {
        return InternalError(absl::StrCat("held-out item row ", item, " of ", total_items));
      }
    }
  }
  return absl::OkStatus();
}

// The targets of a batch in the words of the kernels. Rows and thresholds count from the batch's
// first.
struct BatchTargets {
  std::vector<int64_t> begin;       // [users + 1] thresholds of each user: its targets
  std::vector<int64_t> tie_before;  // [targets] slots of this rank whose item is smaller
  // The targets that this rank owns: user, slot, and place among the batch's targets.
  std::vector<int64_t> own_user, own_slot, own_place;
};

BatchTargets TargetsOf(const HeldOut& held_out, const Batch& batch, const Partition& corpus,
                       int rank) {
  BatchTargets out;
  for (int64_t u = batch.users.begin; u <= batch.users.end; ++u) {
    out.begin.push_back(held_out.target_begin[static_cast<size_t>(u)] - batch.targets.begin);
  }
  for (int64_t user = 0; user < batch.users.size(); ++user) {
    for (int64_t t = out.begin[static_cast<size_t>(user)];
         t < out.begin[static_cast<size_t>(user) + 1]; ++t) {
      const int64_t item = held_out.targets[static_cast<size_t>(batch.targets.begin + t)];
      out.tie_before.push_back(corpus.OwnedBefore(rank, item));
      if (!corpus.Holds(rank, item)) continue;
      out.own_user.push_back(user);
      out.own_slot.push_back(corpus.Slot(item));
      out.own_place.push_back(t);
    }
  }
  return out;
}

// A user whose score of a target is not a number: a function of scores may give such.
absl::Status CheckScores(const HeldOut& held_out, const Batch& batch, const BatchTargets& targets,
                         const at::Tensor& scores) {
  const std::vector<float> list = kernels::ListOf<float>(scores);
  for (size_t t = 0; t < list.size(); ++t) {
    if (std::isfinite(list[t])) continue;
    const auto after =
        std::upper_bound(targets.begin.begin(), targets.begin.end(), static_cast<int64_t>(t));
    const int64_t user = batch.users.begin + (after - targets.begin.begin()) - 1;
    return DivergedError(absl::StrCat(
        "user row ", held_out.users[static_cast<size_t>(user)], ": its score of item row ",
        held_out.targets[static_cast<size_t>(batch.targets.begin) + t], " is ", list[t]));
  }
  return absl::OkStatus();
}

// The number of unseen items before each target of a batch, over all ranks. q: [users, D].
// Collective.
absl::StatusOr<std::vector<int64_t>> CountBefore(comm::Communicator& comm,
                                                 const ScoringItems& items, const HeldOut& held_out,
                                                 const Batch& batch, const at::Tensor& q) {
  const BatchTargets targets = TargetsOf(held_out, batch, items.corpus, comm.rank());
  at::Tensor scores =
      at::full({batch.targets.size()}, -std::numeric_limits<float>::infinity(), q.options());
  scores.index_copy_(
      0, kernels::TensorOf<int64_t>(targets.own_place, items.device),
      kernels::ScorePairs(items.device, q, items.items, targets.own_user, targets.own_slot));
  TORII_RETURN_IF_ERROR(comm.AllReduce(scores, comm::ReduceOp::kMax));
  TORII_RETURN_IF_ERROR(CheckScores(held_out, batch, targets, scores));
  const SeenSlots seen({held_out.seen_begin, held_out.seen}, batch.users, items.corpus,
                       comm.rank());
  at::Tensor counts = kernels::CountAbove(
      items.device, q, items.items, {targets.begin, scores, targets.tie_before}, seen.hidden());
  TORII_RETURN_IF_ERROR(comm.AllReduce(counts, comm::ReduceOp::kSum));
  return kernels::ListOf<int64_t>(counts);
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> RankTargets(comm::Communicator& comm, const OwnedItems& items,
                                                 const HeldOut& held_out,
                                                 const QueryFunction& query, int64_t batch_users) {
  if (batch_users < 1) {
    return ConfigError(absl::StrCat("eval.batch_users: ", batch_users, ": must be at least 1"));
  }
  TORII_RETURN_IF_ERROR(CheckHeldOut(held_out, items.corpus.rows()));
  TORII_ASSIGN_OR_RETURN(const ScoringItems scoring, PrepareItems(comm, items));
  std::vector<int64_t> ranks(held_out.targets.size());
  const auto n = static_cast<int64_t>(held_out.users.size());
  for (int64_t begin = 0; begin < n; begin += batch_users) {
    const Batch batch = BatchAt(held_out, begin, batch_users);
    const auto users = std::span(held_out.users)
                           .subspan(static_cast<size_t>(batch.users.begin),
                                    static_cast<size_t>(batch.users.size()));
    TORII_ASSIGN_OR_RETURN(const at::Tensor q, GatherQueries(comm, scoring, users, query));
    TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> before,
                           CountBefore(comm, scoring, held_out, batch, q));
    std::transform(before.begin(), before.end(), ranks.begin() + batch.targets.begin,
                   [](int64_t count) { return 1 + count; });
  }
  return ranks;
}

std::vector<int64_t> RankTargetsByCount(std::span<const int64_t> item_counts,
                                        const HeldOut& held_out) {
  std::vector<int64_t> order(item_counts.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return item_counts[static_cast<size_t>(a)] > item_counts[static_cast<size_t>(b)];
  });
  std::vector<int64_t> place(order.size());  // of each item in the order
  for (size_t i = 0; i < order.size(); ++i) {
    place[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  }
  std::vector<int64_t> ranks(held_out.targets.size());
  std::vector<int64_t> seen_places;
  for (size_t u = 0; u < held_out.users.size(); ++u) {
    seen_places.clear();
    for (int64_t i = held_out.seen_begin[u]; i < held_out.seen_begin[u + 1]; ++i) {
      seen_places.push_back(place[static_cast<size_t>(held_out.seen[static_cast<size_t>(i)])]);
    }
    std::sort(seen_places.begin(), seen_places.end());
    for (int64_t t = held_out.target_begin[u]; t < held_out.target_begin[u + 1]; ++t) {
      const int64_t own = place[static_cast<size_t>(held_out.targets[static_cast<size_t>(t)])];
      const auto seen_before =
          std::lower_bound(seen_places.begin(), seen_places.end(), own) - seen_places.begin();
      ranks[static_cast<size_t>(t)] = 1 + own - seen_before;
    }
  }
  return ranks;
}

}  // namespace torii::eval
