// Evaluation, recommendation and export of a model: where dataset, towers and exact ranking meet.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
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

// The held-out pairs of the part that `config` names (kConfig if the dataset has none), with the
// items to leave out.
absl::StatusOr<eval::HeldOut> HeldOutOf(const data::Dataset& dataset,
                                        const eval::EvalConfig& config, std::string* part);
// Collective.
absl::StatusOr<Evaluation> EvaluateModel(TwoTower& towers, const eval::EvalConfig& config,
                                         int64_t embed_batch);
// [n, D] vectors of `users` (user rows) with their last items as history: training items, and
// validation items if with_valid_history. Collective.
absl::StatusOr<at::Tensor> UserVectors(TwoTower& towers, std::span<const int64_t> users,
                                       bool with_valid_history);
// The vectors of this rank's items with the scorer of the model; valid as long as `towers`.
// Collective.
absl::StatusOr<eval::OwnedItems> ItemsToRank(TwoTower& towers, int64_t embed_batch);
// The k best unseen items (training and validation items are left out) for each user. Collective.
absl::StatusOr<std::vector<std::vector<eval::ScoredItem>>> Recommend(
    TwoTower& towers, const std::vector<int64_t>& users, int64_t k, int64_t embed_batch);

}  // namespace torii::trainer
