#include "eval/top_k.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/parallel_for.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "eval/query_batch.h"
#include "eval/seen_slots.h"
#include "kernels/host_tensors.h"
#include "kernels/ranking.h"

namespace torii::eval {
namespace {

// Users whose lists a thread should have to merge at least.
constexpr int64_t kGrainUsers = 64;

bool Better(const ScoredItem& a, const ScoredItem& b) {
  return a.score > b.score || (a.score == b.score && a.item < b.item);
}

// All ranks' lists of each user, merged and cut to k places. own: slots of this rank. Collective.
absl::StatusOr<std::vector<std::vector<ScoredItem>>> MergeLists(comm::Communicator& comm,
                                                                const Partition& corpus,
                                                                const kernels::BestItems& own,
                                                                int64_t k) {
  const int64_t users = own.items.size(0);
  const int64_t width = own.items.size(1);
  const std::vector<int64_t> rows(static_cast<size_t>(comm.world_size()), users);
  TORII_ASSIGN_OR_RETURN(const at::Tensor all_items, comm.AllGatherV(own.items, rows));
  TORII_ASSIGN_OR_RETURN(const at::Tensor all_scores, comm.AllGatherV(own.scores, rows));
  const std::vector<int64_t> slots = kernels::ListOf<int64_t>(all_items);
  const std::vector<float> scores = kernels::ListOf<float>(all_scores);
  std::vector<std::vector<ScoredItem>> merged(static_cast<size_t>(users));
  ParallelFor(0, users, kGrainUsers, [&](int64_t first_user, int64_t end_user) {
    for (int64_t u = first_user; u < end_user; ++u) {
      std::vector<ScoredItem>& list = merged[static_cast<size_t>(u)];
      list.reserve(static_cast<size_t>(std::min(k + width, comm.world_size() * width)));
      for (int r = 0; r < comm.world_size(); ++r) {
        const auto middle = static_cast<std::ptrdiff_t>(list.size());
        const auto begin = static_cast<size_t>((r * users + u) * width);
        for (size_t i = begin; i < begin + static_cast<size_t>(width) && slots[i] >= 0; ++i) {
          list.push_back({corpus.Row(r, slots[i]), scores[i]});
        }
        std::inplace_merge(list.begin(), list.begin() + middle, list.end(), Better);
        list.resize(std::min(list.size(), static_cast<size_t>(k)));
      }
    }
  });
  return merged;
}

// This rank's lists of `width` places for the users of one batch.
kernels::BestItems OwnLists(const ScoringItems& items, const TopKRequest& request, Range users,
                            const at::Tensor& q, int64_t width, int rank) {
  if (width == 0) {
    return {at::empty({users.size(), 0}, q.options().dtype(at::kLong)),
            at::empty({users.size(), 0}, q.options())};
  }
  const SeenSlots seen({request.seen_begin, request.seen}, users, items.corpus, rank);
  return kernels::TopK(items.device, q, items.items, seen.hidden(), width);
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
  TORII_RETURN_IF_ERROR(CheckRequest(request, items.corpus.rows()));
  TORII_ASSIGN_OR_RETURN(const ScoringItems scoring, PrepareItems(comm, items));
  std::vector<std::vector<ScoredItem>> lists;
  const auto n = static_cast<int64_t>(request.users.size());
  const int64_t width = std::min(request.k, items.corpus.MostOwnedRows());
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
        MergeLists(comm, scoring.corpus, OwnLists(scoring, request, users, q, width, comm.rank()),
                   request.k));
    for (std::vector<ScoredItem>& list : merged) lists.push_back(std::move(list));
  }
  return lists;
}

}  // namespace torii::eval
