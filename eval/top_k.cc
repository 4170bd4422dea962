#include "eval/top_k.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "eval/query_batch.h"
#include "kernels/score.h"

namespace torii::eval {
namespace {

constexpr int64_t kTaskUsers = 16;
// Scores of one tile: kTaskUsers rows of about this many items.
constexpr int64_t kTileItems = 4096;

bool Better(const ScoredItem& a, const ScoredItem& b) {
  return a.score > b.score || (a.score == b.score && a.item < b.item);
}

// The best k of the items offered, in any order of scores but ascending rows.
class BestItems {
 public:
  explicit BestItems(int64_t k) : k_(static_cast<size_t>(k)) {}

  // Later items of equal score lose, so only a higher score than the k-th best can enter.
  void Offer(int64_t item, float score) {
    if (!(score > bound_)) return;
    items_.push_back({item, score});
    if (items_.size() >= 2 * k_ + 64) Shrink();
  }

  // Best first.
  std::vector<ScoredItem> Take() {
    const size_t n = std::min(k_, items_.size());
    std::partial_sort(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(n), items_.end(),
                      Better);
    items_.resize(n);
    return std::move(items_);
  }

 private:
  void Shrink() {
    const auto kth = items_.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
    std::nth_element(items_.begin(), kth, items_.end(), Better);
    bound_ = kth->score;
    items_.resize(k_);
  }

  size_t k_;
  float bound_ = -std::numeric_limits<float>::infinity();
  std::vector<ScoredItem> items_;
};

// This rank's lists for the users of one batch.
class OwnLists {
 public:
  OwnLists(comm::Communicator& comm, const ScoringItems& items, const TopKRequest& request,
           Range users, const at::Tensor& q)
      : rank_(comm.rank()),
        world_size_(comm.world_size()),
        items_(items),
        request_(request),
        users_(users),
        q_(q.const_data_ptr<float>()),
        lists_(static_cast<size_t>(users.size())) {}

  std::vector<std::vector<ScoredItem>> Compute() {
    at::parallel_for(0, users_.size(), kTaskUsers, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; u += kTaskUsers) {
        ComputeUsers({u, std::min(u + kTaskUsers, end)});
      }
    });
    return std::move(lists_);
  }

 private:
  // Slots of this rank that the user has seen, ascending. `u` counts from the batch's first user.
  std::vector<int64_t> SeenSlots(int64_t u) const {
    std::vector<int64_t> slots;
    const auto user = static_cast<size_t>(users_.begin + u);
    for (int64_t i = request_.seen_begin[user]; i < request_.seen_begin[user + 1]; ++i) {
      const int64_t item = request_.seen[static_cast<size_t>(i)];
      if (RowOwner(item, world_size_) == rank_) slots.push_back(RowSlot(item, world_size_));
    }
    std::sort(slots.begin(), slots.end());
    return slots;
  }

  void ComputeUsers(Range users) {
    const int64_t dim = items_.packed.dim();
    const int64_t width = kernels::PackedVectors::panel_width();
    const int64_t tile_items = (kTileItems + width - 1) / width * width;
    std::vector<float> scores(static_cast<size_t>(users.size() * tile_items));
    std::vector<BestItems> best(static_cast<size_t>(users.size()), BestItems(request_.k));
    std::vector<std::vector<int64_t>> seen;
    for (int64_t u = users.begin; u < users.end; ++u) seen.push_back(SeenSlots(u));
    for (int64_t begin = 0; begin < items_.packed.n(); begin += tile_items) {
      const Range tile{begin, std::min(begin + tile_items, items_.packed.n())};
      kernels::ScoresOfRange(q_ + users.begin * dim, users.size(), items_.packed, tile.begin,
                             tile.end, scores.data());
      for (size_t i = 0; i < best.size(); ++i) {
        OfferTile(scores.data() + static_cast<int64_t>(i) * tile.size(), tile, seen[i], best[i]);
      }
    }
    for (size_t i = 0; i < best.size(); ++i) {
      lists_[static_cast<size_t>(users.begin) + i] = best[i].Take();
    }
  }

  void OfferTile(float* scores, Range tile, const std::vector<int64_t>& seen,
                 BestItems& best) const {
    for (auto s = std::lower_bound(seen.begin(), seen.end(), tile.begin);
         s != seen.end() && *s < tile.end; ++s) {
      scores[*s - tile.begin] = -std::numeric_limits<float>::infinity();
    }
    for (int64_t j = 0; j < tile.size(); ++j) {
      best.Offer(rank_ + (tile.begin + j) * world_size_, scores[j]);
    }
  }

  const int rank_;
  const int world_size_;
  const ScoringItems& items_;
  const TopKRequest& request_;
  const Range users_;
  const float* q_;  // [batch users, D]
  std::vector<std::vector<ScoredItem>> lists_;
};

// All ranks' lists of each user, merged. Collective.
absl::StatusOr<std::vector<std::vector<ScoredItem>>> MergeLists(
    comm::Communicator& comm, const std::vector<std::vector<ScoredItem>>& own, int64_t k) {
  at::Tensor lengths = at::empty({static_cast<int64_t>(own.size())}, at::kLong);
  std::vector<int64_t> flat_items;
  std::vector<float> flat_scores;
  for (size_t u = 0; u < own.size(); ++u) {
    lengths.mutable_data_ptr<int64_t>()[u] = static_cast<int64_t>(own[u].size());
    for (const ScoredItem& scored : own[u]) {
      flat_items.push_back(scored.item);
      flat_scores.push_back(scored.score);
    }
  }
  TORII_ASSIGN_OR_RETURN(const at::Tensor all_lengths, comm::AllGatherRows(comm, lengths));
  TORII_ASSIGN_OR_RETURN(const at::Tensor items,
                         comm::AllGatherRows(comm, at::tensor(flat_items, at::kLong)));
  TORII_ASSIGN_OR_RETURN(const at::Tensor scores,
                         comm::AllGatherRows(comm, at::tensor(flat_scores, at::kFloat)));
  std::vector<std::vector<ScoredItem>> merged(own.size());
  int64_t next = 0;
  for (int64_t i = 0; i < all_lengths.size(0); ++i) {
    std::vector<ScoredItem>& list = merged[static_cast<size_t>(i) % own.size()];
    const int64_t end = next + all_lengths.const_data_ptr<int64_t>()[i];
    for (; next < end; ++next) {
      list.push_back({items.const_data_ptr<int64_t>()[next], scores.const_data_ptr<float>()[next]});
    }
  }
  for (std::vector<ScoredItem>& list : merged) {
    std::sort(list.begin(), list.end(), Better);
    list.resize(std::min(list.size(), static_cast<size_t>(k)));
  }
  return merged;
}

absl::Status CheckRequest(const TopKRequest& request, int64_t total_items) {
  if (request.k < 1) {
    return UsageError(absl::StrCat("lists of ", request.k, " items: k must be at least 1"));
  }
  if (request.batch_users < 1) {
    return ConfigError(
        absl::StrCat("eval.batch_users: ", request.batch_users, ": must be at least 1"));
  }
  if (request.seen_begin.size() != request.users.size() + 1 ||
      request.seen_begin.back() != static_cast<int64_t>(request.seen.size())) {
    return InternalError(
        absl::StrCat("seen lists of ", request.users.size(), " users do not fit together"));
  }
  for (const int64_t item : request.seen) {
    if (item < 0 || item >= total_items) {
      return InternalError(absl::StrCat("seen item row ", item, " of ", total_items));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::vector<ScoredItem>>> TopK(comm::Communicator& comm,
                                                          const OwnedItems& items,
                                                          const TopKRequest& request,
                                                          const QueryFunction& query) {
  TORII_RETURN_IF_ERROR(CheckRequest(request, items.total_items));
  TORII_ASSIGN_OR_RETURN(const ScoringItems scoring, PrepareItems(comm, items));
  std::vector<std::vector<ScoredItem>> lists;
  const auto n = static_cast<int64_t>(request.users.size());
  for (int64_t begin = 0; begin < n; begin += request.batch_users) {
    const Range users{begin, std::min(begin + request.batch_users, n)};
    TORII_ASSIGN_OR_RETURN(
        const at::Tensor q,
        GatherQueries(comm, scoring,
                      std::span(request.users)
                          .subspan(static_cast<size_t>(begin), static_cast<size_t>(users.size())),
                      query));
    TORII_ASSIGN_OR_RETURN(
        std::vector<std::vector<ScoredItem>> merged,
        MergeLists(comm, OwnLists(comm, scoring, request, users, q).Compute(), request.k));
    for (std::vector<ScoredItem>& list : merged) lists.push_back(std::move(list));
  }
  return lists;
}

}  // namespace torii::eval
