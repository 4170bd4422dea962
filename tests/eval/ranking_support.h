// Small ranking problems and their brute-force answers, for the tests of eval.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "base/partition.h"
#include "base/random.h"
#include "eval/rank_targets.h"
#include "eval/top_k.h"

namespace torii::eval {

struct RankingProblem {
  at::Tensor users;  // [user rows, D]
  at::Tensor items;  // [C, D]
  HeldOut held_out;

  int64_t num_items() const { return items.size(0); }
  // The vectors of `rows` of users.
  at::Tensor UserVectors(std::span<const int64_t> rows) const {
    return users.index_select(
        0, at::tensor(std::vector<int64_t>(rows.begin(), rows.end()), at::kLong));
  }
  // What rank `rank` of `world_size` owns.
  OwnedItems Owned(int rank, int world_size,
                   Partition::Kind kind = Partition::Kind::kRowModWorld) const {
    const Partition corpus(kind, num_items(), world_size);
    std::vector<int64_t> rows;
    for (int64_t slot = 0; slot < corpus.OwnedRows(rank); ++slot) {
      rows.push_back(corpus.Row(rank, slot));
    }
    return {items.index_select(0, at::tensor(rows, at::kLong)), corpus};
  }
};

// Elements are small integers, so that all scores are exact and many tie; every third item repeats
// the one two before it. Users see 0 to all but one of the items and have 1 to 4 targets where
// there are so many items.
inline RankingProblem MakeRankingProblem(int64_t num_items, int64_t num_users, uint64_t seed) {
  const RandomStream random(seed, "ranking_problem", static_cast<uint64_t>(num_items));
  uint64_t next = 0;
  const int64_t dim = 3;
  RankingProblem problem;
  // Not every user row has targets: rows are 0, 2, 4, ...
  problem.users = at::empty({2 * num_users, dim}, at::kFloat);
  problem.items = at::empty({num_items, dim}, at::kFloat);
  for (at::Tensor* tensor : {&problem.users, &problem.items}) {
    for (int64_t i = 0; i < tensor->numel(); ++i) {
      tensor->mutable_data_ptr<float>()[i] = static_cast<float>(random.Below(next++, 5) - 2);
    }
  }
  for (int64_t j = 2; j < num_items; j += 3) problem.items[j].copy_(problem.items[j - 2]);
  HeldOut& held_out = problem.held_out;
  held_out.target_begin.push_back(0);
  held_out.seen_begin.push_back(0);
  for (int64_t u = 0; u < num_users; ++u) {
    std::vector<int64_t> rows(static_cast<size_t>(num_items));
    std::iota(rows.begin(), rows.end(), int64_t{0});
    for (size_t i = rows.size(); i > 1; --i) {
      std::swap(rows[i - 1],
                rows[static_cast<size_t>(random.Below(next++, static_cast<int64_t>(i)))]);
    }
    const int64_t targets = 1 + random.Below(next++, std::min<int64_t>(4, num_items));
    const int64_t seen = u % 3 == 0 ? 0 : random.Below(next++, num_items - targets + 1);
    held_out.users.push_back(2 * u);
    held_out.targets.insert(held_out.targets.end(), rows.begin(), rows.begin() + targets);
    held_out.seen.insert(held_out.seen.end(), rows.begin() + targets,
                         rows.begin() + targets + seen);
    held_out.target_begin.push_back(static_cast<int64_t>(held_out.targets.size()));
    held_out.seen_begin.push_back(static_cast<int64_t>(held_out.seen.size()));
  }
  return problem;
}

// All unseen items of the u-th user, best first, ties by row, with scores in double precision.
inline std::vector<ScoredItem> FullRanking(const RankingProblem& problem, size_t u) {
  const HeldOut& held_out = problem.held_out;
  const at::Tensor scores =
      problem.items.to(at::kDouble).mv(problem.users[held_out.users[u]].to(at::kDouble));
  const auto seen_begin = held_out.seen.begin() + held_out.seen_begin[u];
  const auto seen_end = held_out.seen.begin() + held_out.seen_begin[u + 1];
  std::vector<ScoredItem> ranking;
  for (int64_t item = 0; item < problem.num_items(); ++item) {
    if (std::find(seen_begin, seen_end, item) == seen_end) {
      ranking.push_back({item, static_cast<float>(scores.const_data_ptr<double>()[item])});
    }
  }
  std::stable_sort(ranking.begin(), ranking.end(),
                   [](const ScoredItem& a, const ScoredItem& b) { return a.score > b.score; });
  return ranking;
}

inline std::vector<int64_t> BruteForceRanks(const RankingProblem& problem) {
  const HeldOut& held_out = problem.held_out;
  std::vector<int64_t> ranks;
  for (size_t u = 0; u < held_out.users.size(); ++u) {
    const std::vector<ScoredItem> ranking = FullRanking(problem, u);
    for (int64_t t = held_out.target_begin[u]; t < held_out.target_begin[u + 1]; ++t) {
      const int64_t target = held_out.targets[static_cast<size_t>(t)];
      const auto found =
          std::find_if(ranking.begin(), ranking.end(),
                       [&](const ScoredItem& scored) { return scored.item == target; });
      ranks.push_back(1 + (found - ranking.begin()));
    }
  }
  return ranks;
}

}  // namespace torii::eval
