// Evaluation, recommendation and export of a model: where dataset, towers and exact ranking meet.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "data/history.h"
#include "eval/eval.pb.h"
#include "eval/metrics.h"
#include "eval/rank_targets.h"
#include "eval/top_k.h"
#include "trainer/step/two_tower.h"

namespace torii::trainer {

struct Evaluation {
  std::string part;  // "test" or "valid"
  eval::HeldOut held_out;
  std::vector<int64_t> ranks;  // one per target
  eval::Metrics model;
  eval::Metrics popularity;
  std::vector<int> ks;
};

// The held-out pairs of the part that `config` names, with the items to leave out. kConfig if the
// dataset has none, or none that its user had not seen before (EvalConfig.repeats).
absl::StatusOr<eval::HeldOut> HeldOutOf(const data::Dataset& dataset,
                                        const eval::EvalConfig& config, std::string* part);
// Collective.
absl::StatusOr<Evaluation> EvaluateModel(TwoTower& towers, const eval::EvalConfig& config,
                                         int64_t embed_batch);
// The history that users have in this evaluation: what came before the part.
data::HistoryUpTo HistoryFor(const Evaluation& evaluation);
// [n, D] vectors of `users` (user rows) with their last items as history. Collective.
absl::StatusOr<at::Tensor> UserVectors(TwoTower& towers, std::span<const int64_t> users,
                                       data::HistoryUpTo up_to);
// The vectors of this rank's items with the scorer of the model; valid as long as `towers`.
// Collective.
absl::StatusOr<eval::OwnedItems> ItemsToRank(TwoTower& towers, int64_t embed_batch);
struct RecommendOptions {
  int64_t k = 10;  // at most all items are given
  data::HistoryUpTo history = data::HistoryUpTo::kAll;
  int64_t embed_batch = 1;
};
// The k best unseen items for each user: training and validation items are left out, and test items
// if the history has them. Collective.
absl::StatusOr<std::vector<std::vector<eval::ScoredItem>>> Recommend(
    TwoTower& towers, const std::vector<int64_t>& users, const RecommendOptions& options);

}  // namespace torii::trainer
