#include "trainer/evaluate_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"

namespace torii::trainer {
namespace {

// Distinct items of a list, ascending.
std::vector<int64_t> DistinctItems(std::span<const int32_t> items) {
  std::vector<int64_t> out(items.begin(), items.end());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// The items of a user that a ranking leaves out: training items, and validation items.
std::vector<int64_t> SeenItems(const data::Dataset& dataset, int64_t user, bool train, bool valid) {
  std::vector<int64_t> seen;
  if (train) seen = DistinctItems(dataset.train().ItemsOf(user));
  if (valid && dataset.valid().size() > 0) {
    const std::vector<int64_t> more = DistinctItems(dataset.valid().ItemsOf(user));
    std::vector<int64_t> both;
    std::set_union(seen.begin(), seen.end(), more.begin(), more.end(), std::back_inserter(both));
    seen = std::move(both);
  }
  return seen;
}

bool UsesTest(const data::Dataset& dataset, const eval::EvalConfig& config) {
  if (config.part() == eval::EvalConfig::TEST) return true;
  if (config.part() == eval::EvalConfig::VALID) return false;
  return dataset.test().size() > 0;
}

std::vector<int> CutOffs(const eval::EvalConfig& config) {
  if (config.k_size() == 0) return {10, 20, 50};
  return {config.k().begin(), config.k().end()};
}

}  // namespace

absl::StatusOr<eval::HeldOut> HeldOutOf(const data::Dataset& dataset,
                                        const eval::EvalConfig& config, std::string* part) {
  const bool test = UsesTest(dataset, config);
  *part = test ? "test" : "valid";
  const data::Interactions& interactions = test ? dataset.test() : dataset.valid();
  if (interactions.size() == 0) {
    return ConfigError(
        absl::StrCat("the prepared dataset has no ", *part, " part to evaluate on: ",
                     dataset.meta().config().has_split()
                         ? "data.split held out nothing for it (`torii prepare --force` says why)"
                         : "set data.split, data.test_path or data.valid_path"));
  }
  const bool against_all = config.repeats() == eval::EvalConfig::RANK_AGAINST_ALL;
  eval::HeldOut held_out;
  held_out.target_begin.push_back(0);
  held_out.seen_begin.push_back(0);
  for (int64_t user = 0; user < dataset.users().rows(); ++user) {
    std::vector<int64_t> targets = DistinctItems(interactions.ItemsOf(user));
    if (targets.empty()) continue;
    // What is left out never depends on the targets: a rank would else give them away.
    const std::vector<int64_t> seen =
        against_all ? std::vector<int64_t>()
                    : SeenItems(dataset, user, config.mask_train(), test && config.mask_valid());
    held_out.repeats_left_out += static_cast<int64_t>(std::erase_if(
        targets, [&](int64_t item) { return std::binary_search(seen.begin(), seen.end(), item); }));
    if (targets.empty()) continue;
    held_out.users.push_back(user);
    held_out.targets.insert(held_out.targets.end(), targets.begin(), targets.end());
    held_out.seen.insert(held_out.seen.end(), seen.begin(), seen.end());
    held_out.target_begin.push_back(static_cast<int64_t>(held_out.targets.size()));
    held_out.seen_begin.push_back(static_cast<int64_t>(held_out.seen.size()));
  }
  if (held_out.users.empty()) {
    return ConfigError(absl::StrCat(
        "nothing is left to evaluate on: all ", held_out.repeats_left_out,
        " held-out items of the ", *part,
        " part repeat items that their users had already seen; set eval.repeats: "
        "RANK_AGAINST_ALL to rank them, or data.filters.repeats: FIRST if the log holds events "
        "several times"));
  }
  return held_out;
}

absl::StatusOr<at::Tensor> UserVectors(TwoTower& towers, std::span<const int64_t> users,
                                       data::HistoryUpTo up_to) {
  const data::Bags history =
      data::LastItems(towers.dataset(), users, towers.net().history_length(), up_to);
  PassPlan plan;
  TORII_RETURN_IF_ERROR(
      towers.PlanUsers(towers.comm(), {.rows = users, .history = &history}, &plan));
  TORII_ASSIGN_OR_RETURN(const TowerPass pass, towers.Forward(plan, PassKind::kInference, 0));
  return pass.vectors;
}

data::HistoryUpTo HistoryFor(const Evaluation& evaluation) {
  return evaluation.part == "test" ? data::HistoryUpTo::kTest : data::HistoryUpTo::kValidation;
}

absl::StatusOr<eval::OwnedItems> ItemsToRank(TwoTower& towers, int64_t embed_batch) {
  eval::OwnedItems items{.vectors = {},
                         .corpus = towers.corpus(),
                         .device = towers.net().dense().device(),
                         .scores = {}};
  TORII_ASSIGN_OR_RETURN(items.vectors, towers.AllOwnedItems(embed_batch));
  const std::shared_ptr<const model::Scorer>& scorer = towers.net().scorer();
  if (!scorer->is_inner_product()) {  // a temperature changes no rank
    items.scores = [scorer](const at::Tensor& q, const at::Tensor& v) {
      const at::NoGradGuard no_grad;
      return scorer->Scores(q, v);
    };
  }
  return items;
}

absl::StatusOr<Evaluation> EvaluateModel(TwoTower& towers, const eval::EvalConfig& config,
                                         int64_t embed_batch) {
  TORII_FAILPOINT("trainer.evaluate");
  const data::Dataset& dataset = towers.dataset();
  Evaluation out;
  out.ks = CutOffs(config);
  TORII_ASSIGN_OR_RETURN(out.held_out, HeldOutOf(dataset, config, &out.part));

  TORII_ASSIGN_OR_RETURN(const eval::OwnedItems items, ItemsToRank(towers, embed_batch));
  const data::HistoryUpTo up_to = HistoryFor(out);
  TORII_ASSIGN_OR_RETURN(out.ranks, eval::RankTargets(
                                        towers.comm(), items, out.held_out,
                                        [&](std::span<const int64_t> users) {
                                          return UserVectors(towers, users, up_to);
                                        },
                                        config.batch_users()));
  out.model = eval::Aggregate(out.held_out, out.ranks, out.ks);
  out.popularity = eval::Aggregate(
      out.held_out, eval::RankTargetsByCount(dataset.item_counts(), out.held_out), out.ks);
  return out;
}

absl::StatusOr<std::vector<std::vector<eval::ScoredItem>>> Recommend(
    TwoTower& towers, const std::vector<int64_t>& users, const RecommendOptions& options) {
  const data::Dataset& dataset = towers.dataset();
  eval::TopKRequest request;
  request.users = users;
  request.k = std::min(options.k, dataset.items().rows());
  request.seen_begin.push_back(0);
  for (const int64_t user : users) {
    std::vector<int64_t> seen = SeenItems(dataset, user, /*train=*/true, /*valid=*/true);
    if (options.history == data::HistoryUpTo::kAll && dataset.test().size() > 0) {
      const std::span<const int32_t> newest = dataset.test().ItemsOf(user);
      seen.insert(seen.end(), newest.begin(), newest.end());
      std::sort(seen.begin(), seen.end());
      seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    }
    request.seen.insert(request.seen.end(), seen.begin(), seen.end());
    request.seen_begin.push_back(static_cast<int64_t>(request.seen.size()));
  }
  TORII_ASSIGN_OR_RETURN(const eval::OwnedItems items, ItemsToRank(towers, options.embed_batch));
  return eval::TopK(towers.comm(), items, request, [&](std::span<const int64_t> some) {
    return UserVectors(towers, some, options.history);
  });
}

}  // namespace torii::trainer
