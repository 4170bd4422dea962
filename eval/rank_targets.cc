#include "eval/rank_targets.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "eval/parallel_blocks.h"
#include "eval/query_batch.h"
#include "eval/seen_slots.h"
#include "kernels/cpu/ranking/score.h"
#include "kernels/cpu/ranking/score_count.h"

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

// Counts, on one rank, how many of its items come before each target of a batch.
class BatchRanker {
 public:
  BatchRanker(comm::Communicator& comm, const ScoringItems& items, const HeldOut& held_out,
              Batch batch, const at::Tensor& q)
      : comm_(comm),
        items_(items),
        held_out_(held_out),
        batch_(batch),
        q_(q.const_data_ptr<float>()),
        dim_(q.size(1)) {}

  // ranks[t - batch.targets.begin] for the targets of the batch. Collective.
  absl::Status Rank(int64_t* ranks) {
    const int64_t n = batch_.targets.size();
    at::Tensor scores = OwnTargetScores();
    TORII_RETURN_IF_ERROR(comm_.AllReduce(scores, comm::ReduceOp::kMax));
    at::Tensor counts = at::zeros({n}, at::kLong);
    const float* score = scores.const_data_ptr<float>();
    int64_t* count = counts.mutable_data_ptr<int64_t>();
    ParallelBlocks(batch_.users, [&](Range users) { CountItems(users, score, count); });
    TORII_RETURN_IF_ERROR(comm_.AllReduce(counts, comm::ReduceOp::kSum));
    for (int64_t t = 0; t < n; ++t) ranks[t] = 1 + count[t];
    return absl::OkStatus();
  }

 private:
  // The targets of user u, an index into held_out.users, counted from the batch's first target.
  Range TargetsOf(int64_t u) const {
    const auto i = static_cast<size_t>(u);
    return {held_out_.target_begin[i] - batch_.targets.begin,
            held_out_.target_begin[i + 1] - batch_.targets.begin};
  }
  int64_t Target(int64_t t) const {
    return held_out_.targets[static_cast<size_t>(batch_.targets.begin + t)];
  }
  const float* Query(int64_t u) const { return q_ + (u - batch_.users.begin) * dim_; }
  bool Owns(int64_t item) const { return RowOwner(item, comm_.world_size()) == comm_.rank(); }
  int64_t Slot(int64_t item) const { return RowSlot(item, comm_.world_size()); }

  // [targets] float32: the scores of the targets that this rank owns, -infinity for the others.
  at::Tensor OwnTargetScores() const {
    at::Tensor scores =
        at::full({batch_.targets.size()}, -std::numeric_limits<float>::infinity(), at::kFloat);
    float* score = scores.mutable_data_ptr<float>();
    ParallelBlocks(batch_.users, [&](Range users) {
      for (int64_t u = users.begin; u < users.end; ++u) {
        const Range targets = TargetsOf(u);
        for (int64_t t = targets.begin; t < targets.end; ++t) {
          if (!Owns(Target(t))) continue;
          score[t] = kernels::cpu::Score(Query(u), items_.slot(Slot(Target(t))), dim_);
        }
      }
    });
    return scores;
  }

  // Adds the number of own unseen items before each target of `users`.
  void CountItems(Range users, const float* score, int64_t* count) const {
    std::vector<int64_t> target_begin;
    std::vector<int64_t> tie_before;
    const int64_t first = TargetsOf(users.begin).begin;
    for (int64_t u = users.begin; u < users.end; ++u) {
      const Range targets = TargetsOf(u);
      target_begin.push_back(targets.begin - first);
      for (int64_t t = targets.begin; t < targets.end; ++t) {
        // Slots of this rank whose item row is smaller than the target's.
        tie_before.push_back(OwnedRows(Target(t), comm_.rank(), comm_.world_size()));
      }
    }
    target_begin.push_back(static_cast<int64_t>(tie_before.size()));
    const SeenSlots seen({held_out_.seen_begin, held_out_.seen}, users, comm_.rank(),
                         comm_.world_size());
    kernels::cpu::CountAbove(Query(users.begin), users.size(), items_.packed,
                             {target_begin.data(), score + first, tie_before.data()}, seen.hidden(),
                             count + first);
  }

  comm::Communicator& comm_;
  const ScoringItems& items_;
  const HeldOut& held_out_;
  const Batch batch_;
  const float* q_;  // [batch users, D]
  const int64_t dim_;
};

}  // namespace

absl::StatusOr<std::vector<int64_t>> RankTargets(comm::Communicator& comm, const OwnedItems& items,
                                                 const HeldOut& held_out,
                                                 const QueryFunction& query, int64_t batch_users) {
  if (batch_users < 1) {
    return ConfigError(absl::StrCat("eval.batch_users: ", batch_users, ": must be at least 1"));
  }
  TORII_RETURN_IF_ERROR(CheckHeldOut(held_out, items.total_items));
  TORII_ASSIGN_OR_RETURN(const ScoringItems scoring, PrepareItems(comm, items));
  std::vector<int64_t> ranks(held_out.targets.size());
  const auto n = static_cast<int64_t>(held_out.users.size());
  for (int64_t begin = 0; begin < n; begin += batch_users) {
    const Batch batch = BatchAt(held_out, begin, batch_users);
    const auto users = std::span(held_out.users)
                           .subspan(static_cast<size_t>(batch.users.begin),
                                    static_cast<size_t>(batch.users.size()));
    TORII_ASSIGN_OR_RETURN(const at::Tensor q, GatherQueries(comm, scoring, users, query));
    TORII_RETURN_IF_ERROR(
        BatchRanker(comm, scoring, held_out, batch, q).Rank(ranks.data() + batch.targets.begin));
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
