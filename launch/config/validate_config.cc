#include "launch/config/validate_config.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/closest_name.h"
#include "base/exit_code.h"
#include "data/prepare/prepare.h"
#include "eval/rank_targets.h"
#include "model/model_plan.h"
#include "sampler/negative_sampler.h"
#include "sharding/table_config.h"
#include "trainer/train_loop.h"

namespace torii::launch {
namespace {

using Rules = std::vector<std::string>;

bool HasTest(const data::DataConfig& data) { return data.test_path_size() > 0 || data.has_split(); }
bool HasValid(const data::DataConfig& data) {
  return data.valid_path_size() > 0 || data.split().valid();
}

void CheckBestMetric(const RunConfig& config, Rules* broken) {
  const std::string& metric = config.train().best_metric();
  if (metric == "mrr") return;
  const std::vector<std::string> names = {"recall", "precision", "ndcg", "hit_rate", "map", "mrr"};
  const size_t at = metric.find('@');
  const std::string name = metric.substr(0, at);
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    broken->push_back(absl::StrCat("train.best_metric: '", metric, "' is not a metric",
                                   DidYouMean(name, names), "; metrics are ",
                                   absl::StrJoin(names, ", "), ", each with @k, and mrr"));
    return;
  }
  int k = 0;
  if (at == std::string::npos || !absl::SimpleAtoi(metric.substr(at + 1), &k)) {
    broken->push_back(absl::StrCat("train.best_metric: '", metric,
                                   "' lacks its cut-off: write for example ", name, "@20"));
    return;
  }
  const auto& ks = config.eval().k();
  if (std::find(ks.begin(), ks.end(), k) == ks.end()) {
    broken->push_back(absl::StrCat("train.best_metric: the cut-off of '", metric,
                                   "' is not among eval.k: ", absl::StrJoin(ks, ", ")));
  }
}

void CheckParts(const RunConfig& config, Rules* broken) {
  const data::DataConfig& data = config.data();
  if (config.eval().part() == eval::EvalConfig::VALID && !HasValid(data)) {
    broken->push_back(
        "eval.part: VALID, but there is no validation part: set data.valid_path or "
        "data.split.valid");
  }
  if (config.eval().part() == eval::EvalConfig::TEST && !HasTest(data)) {
    broken->push_back(
        "eval.part: TEST, but there is no test part: set data.test_path or data.split");
  }
  const trainer::TrainConfig& train = config.train();
  if (train.patience() <= 0) return;
  if (!HasTest(data) && !HasValid(data)) {
    broken->push_back(absl::StrCat("train.patience: ", train.patience(),
                                   ", but nothing is held out to evaluate on: set data.split, "
                                   "data.test_path or data.valid_path"));
  }
  if (train.eval_every_epochs() == 0 && train.eval_every_steps() == 0) {
    broken->push_back(absl::StrCat("train.patience: ", train.patience(),
                                   ", but train.eval_every_epochs and train.eval_every_steps "
                                   "are both 0"));
  }
}

std::vector<std::string> FeatureNames(const data::SideFile& side) {
  std::vector<std::string> names;
  for (const data::Feature& feature : side.feature()) {
    if (feature.has_name() || feature.column_size() > 0) {
      names.push_back(feature.has_name() ? feature.name() : feature.column(0));
    }
  }
  return names;
}

void CheckTower(const std::string& tower, const model::TowerConfig& config, const std::string& side,
                const data::SideFile& file, Rules* broken) {
  const std::vector<std::string> known = FeatureNames(file);
  for (int i = 0; i < config.feature_size(); ++i) {
    if (std::find(known.begin(), known.end(), config.feature(i)) != known.end()) continue;
    broken->push_back(
        absl::StrCat(tower, ".feature[", i, "]: '", config.feature(i), "' is not a feature of ",
                     side, DidYouMean(config.feature(i), known),
                     known.empty() ? "; it has none" : "; it has ", absl::StrJoin(known, ", ")));
  }
  const bool features = !config.no_features() && !known.empty();
  if (!config.use_id() && !features && !config.has_history()) {
    broken->push_back(absl::StrCat(tower, ": has no input: use_id is off, and there are no ",
                                   "features and no history"));
  }
}

void CheckFolders(const RunConfig& config, Rules* broken) {
  if (config.run_dir().empty()) broken->push_back("run_dir: is empty");
  if (config.run_dir() == config.data().prepared_dir()) {
    broken->push_back(absl::StrCat("data.prepared_dir: '", config.run_dir(),
                                   "' is the run_dir too; they need a folder each"));
  }
}

// Adds `rules` with the field that holds the message before them, where they do not say it.
void Add(const std::string& place, const Rules& rules, Rules* broken) {
  for (const std::string& rule : rules) {
    broken->push_back(rule.starts_with(place) ? rule : absl::StrCat(place, ".", rule));
  }
}

}  // namespace

std::vector<std::string> BrokenRules(const RunConfig& config) {
  Rules broken;
  CheckFolders(config, &broken);
  Add("data", data::Validate(config.data()), &broken);
  Add("model", model::Validate(config.model()), &broken);
  Add("sampler", sampler::Validate(config.sampler()), &broken);
  const std::vector<sharding::TableConfig> overrides(config.table().begin(), config.table().end());
  Add("table", sharding::Validate(config.tables(), overrides), &broken);
  Add("train", trainer::Validate(config.train()), &broken);
  Add("eval", eval::Validate(config.eval()), &broken);
  CheckTower("model.user", config.model().user(), "data.users", config.data().users(), &broken);
  CheckTower("model.item", config.model().item(), "data.items", config.data().items(), &broken);
  CheckBestMetric(config, &broken);
  CheckParts(config, &broken);
  return broken;
}

absl::Status ValidateConfig(const RunConfig& config) {
  const Rules broken = BrokenRules(config);
  if (broken.empty()) return absl::OkStatus();
  if (broken.size() == 1) return ConfigError(broken[0]);
  return ConfigError(absl::StrCat("the configuration breaks ", broken.size(), " rules\n  ",
                                  absl::StrJoin(broken, "\n  ")));
}

}  // namespace torii::launch
