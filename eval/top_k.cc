#include "eval/top_k.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "eval/parallel_blocks.h"
#include "eval/query_batch.h"
#include "eval/seen_slots.h"
#include "kernels/cpu/ranking/score_top_k.h"

namespace torii::eval {
namespace {

bool Better(const ScoredItem& a, const ScoredItem& b) {
  return a.score > b.score || (a.score == b.score && a.item < b.item);
}

// The lists of a batch of users as tensors [users, width]; item -1 where a list has ended.
struct ListTensors {
  at::Tensor items;   // int64
  at::Tensor scores;  // float32
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
        q_(q.const_data_ptr<float>()) {}

  // Lists of `width` places.
  ListTensors Compute(int64_t width) const {
    const ListTensors lists = {at::full({users_.size(), width}, -1, at::kLong),
                               at::zeros({users_.size(), width}, at::kFloat)};
    if (width == 0) return lists;
    ParallelBlocks({0, users_.size()}, [&](Range users) {
      ComputeUsers(users, width, lists.items.mutable_data_ptr<int64_t>() + users.begin * width,
                   lists.scores.mutable_data_ptr<float>() + users.begin * width);
    });
    return lists;
  }

 private:
  void ComputeUsers(Range users, int64_t width, int64_t* items, float* scores) const {
    const SeenSlots seen({request_.seen_begin, request_.seen},
                         {users_.begin + users.begin, users_.begin + users.end}, rank_,
                         world_size_);
    std::vector<int64_t> length(static_cast<size_t>(users.size()));
    kernels::cpu::TopKOfRows(q_ + users.begin * items_.packed.dim(), users.size(), items_.packed,
                             seen.hidden(), {width, items, scores, length.data()});
    for (int64_t i = 0; i < users.size(); ++i) {
      for (int64_t j = 0; j < length[static_cast<size_t>(i)]; ++j) {
        items[i * width + j] = rank_ + items[i * width + j] * world_size_;
      }
    }
  }

  const int rank_;
  const int world_size_;
  const ScoringItems& items_;
  const TopKRequest& request_;
  const Range users_;
  const float* q_;  // [batch users, D]
};

// All ranks' lists of each user, merged and cut to k places. Collective.
absl::StatusOr<std::vector<std::vector<ScoredItem>>> MergeLists(comm::Communicator& comm,
                                                                const ListTensors& own, int64_t k) {
  const int64_t users = own.items.size(0);
  const int64_t width = own.items.size(1);
  const std::vector<int64_t> rows(static_cast<size_t>(comm.world_size()), users);
  TORII_ASSIGN_OR_RETURN(const at::Tensor all_items, comm.AllGatherV(own.items, rows));
  TORII_ASSIGN_OR_RETURN(const at::Tensor all_scores, comm.AllGatherV(own.scores, rows));
  const int64_t* items = all_items.const_data_ptr<int64_t>();
  const float* scores = all_scores.const_data_ptr<float>();
  std::vector<std::vector<ScoredItem>> merged(static_cast<size_t>(users));
  ParallelBlocks({0, users}, [&](Range block) {
    for (int64_t u = block.begin; u < block.end; ++u) {
      std::vector<ScoredItem>& list = merged[static_cast<size_t>(u)];
      list.reserve(static_cast<size_t>(std::min(k + width, comm.world_size() * width)));
      for (int64_t r = 0; r < comm.world_size(); ++r) {
        const auto middle = static_cast<std::ptrdiff_t>(list.size());
        const int64_t begin = (r * users + u) * width;
        for (int64_t i = begin; i < begin + width && items[i] >= 0; ++i) {
          list.push_back({items[i], scores[i]});
        }
        std::inplace_merge(list.begin(), list.begin() + middle, list.end(), Better);
        list.resize(std::min(list.size(), static_cast<size_t>(k)));
      }
    }
  });
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
  // No rank owns more items than the first.
  const int64_t width = std::min(request.k, OwnedRows(items.total_items, 0, comm.world_size()));
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
        MergeLists(comm, OwnLists(comm, scoring, request, users, q).Compute(width), request.k));
    for (std::vector<ScoredItem>& list : merged) lists.push_back(std::move(list));
  }
  return lists;
}

}  // namespace torii::eval
