#include "launch/config/validate_config.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/closest_name.h"
#include "data/prepare/prepare.h"
#include "eval/metric_names.h"
#include "eval/rank_targets.h"
#include "model/model_rules.h"
#include "sampler/negative_sampler.h"
#include "sharding/table_config.h"
#include "trainer/train_loop.h"

namespace torii::launch {
namespace {

bool HasTest(const data::DataConfig& data) { return data.test_path_size() > 0 || data.has_split(); }
bool HasValid(const data::DataConfig& data) {
  return data.valid_path_size() > 0 || data.split().valid();
}

void CheckBestMetric(const RunConfig& config, const ConfigRules& rules) {
  constexpr char kField[] = "train.best_metric";
  const std::string& metric = config.train().best_metric();
  if (metric == eval::kMrr) return;
  const std::vector<std::string> names(eval::kMetricsAtK.begin(), eval::kMetricsAtK.end());
  const size_t at = metric.find('@');
  const std::string name = metric.substr(0, at);
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    return rules.Break(kField, absl::StrCat("'", metric, "' is not a metric",
                                            DidYouMean(name, names), "; metrics are ",
                                            absl::StrJoin(names, ", "), ", each with @k, and mrr"));
  }
  int k = 0;
  if (at == std::string::npos || !absl::SimpleAtoi(metric.substr(at + 1), &k)) {
    return rules.Break(
        kField, absl::StrCat("'", metric, "' lacks its cut-off: write for example ", name, "@20"));
  }
  const auto& ks = config.eval().k();
  rules.Require(
      std::find(ks.begin(), ks.end(), k) != ks.end(), kField,
      absl::StrCat("the cut-off of '", metric, "' is not among eval.k: ", absl::StrJoin(ks, ", ")));
}

void CheckParts(const RunConfig& config, const ConfigRules& rules) {
  const data::DataConfig& data = config.data();
  rules.Require(config.eval().part() != eval::EvalConfig::VALID || HasValid(data), "eval.part",
                "VALID, but there is no validation part: set data.valid_path or data.split.valid");
  rules.Require(config.eval().part() != eval::EvalConfig::TEST || HasTest(data), "eval.part",
                "TEST, but there is no test part: set data.test_path or data.split");
  const trainer::TrainConfig& train = config.train();
  if (train.patience() <= 0) return;
  rules.Require(HasTest(data) || HasValid(data), "train.patience",
                "needs evaluations, but nothing is held out: set data.split, data.test_path or "
                "data.valid_path");
  rules.Require(train.eval_every_epochs() != 0 || train.eval_every_steps() != 0, "train.patience",
                "needs evaluations, but train.eval_every_epochs and train.eval_every_steps are "
                "both 0");
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

void CheckTower(const model::TowerConfig& config, const std::string& side,
                const data::SideFile& file, const ConfigRules& rules) {
  const std::vector<std::string> known = FeatureNames(file);
  for (int i = 0; i < config.feature_size(); ++i) {
    if (std::find(known.begin(), known.end(), config.feature(i)) != known.end()) continue;
    rules.Break(
        absl::StrCat("feature[", i, "]"),
        absl::StrCat("'", config.feature(i), "' is not a feature of ", side,
                     DidYouMean(config.feature(i), known),
                     known.empty() ? "; it has none" : "; it has ", absl::StrJoin(known, ", ")));
  }
  const bool features = !config.no_features() && !known.empty();
  rules.Require(config.use_id() || features || config.has_history(), "",
                "has no input: use_id is off, and there are no features and no history");
}

// The loss says what rows are scored against; the sources of negatives must fit it.
void CheckNegatives(const RunConfig& config, const ConfigRules& rules) {
  const model::LossConfig& loss = config.model().loss();
  const sampler::SamplerConfig& sampler = config.sampler();
  rules.Require(
      !loss.has_symmetric() || sampler.in_batch() != sampler::SamplerConfig::LOCAL,
      "sampler.in_batch",
      "must not be LOCAL with model.loss.symmetric, whose softmax over rows needs the same columns "
      "on all ranks: write WORLD");
  if (!loss.has_bpr() && !loss.has_bce()) return;
  const std::string why = absl::StrCat(
      "must be left out with model.loss.", loss.has_bpr() ? "bpr" : "bce",
      ", which draws negatives for each row alone (its field negatives, sampler.row_negatives)");
  rules.Require(sampler.uniform() <= 0, "sampler.uniform", why);
  rules.Require(sampler.popularity() <= 0, "sampler.popularity", why);
  rules.Require(!sampler.full_corpus(), "sampler.full_corpus", why);
}

void CheckFolders(const RunConfig& config, const ConfigRules& rules) {
  rules.Require(!config.run_dir().empty(), "run_dir", "must not be empty");
  rules.Require(config.run_dir() != config.data().prepared_dir(), "data.prepared_dir",
                absl::StrCat("'", config.run_dir(), "' is the run_dir too; give each its folder"));
}

}  // namespace

void Validate(const RunConfig& config, const ConfigRules& rules) {
  CheckFolders(config, rules);
  data::Validate(config.data(), rules.In("data"));
  model::Validate(config.model(), rules.In("model"));
  sampler::Validate(config.sampler(), rules.In("sampler"));
  const std::vector<sharding::TableConfig> overrides(config.table().begin(), config.table().end());
  sharding::Validate(config.tables(), overrides, rules);
  trainer::Validate(config.train(), rules.In("train"));
  eval::Validate(config.eval(), rules.In("eval"));
  CheckTower(config.model().user(), "data.users", config.data().users(),
             rules.In("model").In("user"));
  CheckTower(config.model().item(), "data.items", config.data().items(),
             rules.In("model").In("item"));
  CheckNegatives(config, rules);
  CheckBestMetric(config, rules);
  CheckParts(config, rules);
}

absl::Status ValidateConfig(const RunConfig& config, const ConfigLocations& locations) {
  const ConfigRules rules;
  Validate(config, rules);
  std::vector<std::string> lines;
  for (const BrokenRule& rule : rules.broken()) {
    const std::string place = locations.Find(rule.field);
    lines.push_back(absl::StrCat(place, place.empty() ? "" : ": ", rule.Text()));
  }
  return BrokenRulesError(lines);
}

}  // namespace torii::launch
