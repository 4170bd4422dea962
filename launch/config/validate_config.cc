#include "launch/config/validate_config.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/closest_name.h"
#include "data/prepare/prepare.h"
#include "eval/metric_names.h"
#include "eval/rank_targets.h"
#include "model/loss/loss.h"
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
  const model::LossNeeds needs = model::NeedsOf(config.model().loss());
  const std::string loss = absl::StrCat("model.loss.", model::NameOf(config.model().loss()));
  rules.Require(!needs.same_columns || config.sampler().in_batch() != sampler::SamplerConfig::LOCAL,
                "sampler.in_batch",
                absl::StrCat("must not be LOCAL with ", loss,
                             ", which needs the same columns on all ranks: write WORLD"));
  if (needs.all_columns) return;
  for (const std::string& source : sampler::SourcesOf(config.sampler())) {
    if (source == "in_batch") continue;  // on unless it is turned off, and then of no effect
    rules.Break(absl::StrCat("sampler.", source),
                absl::StrCat("must be left out with ", loss,
                             ", which draws negatives for each row alone (its field negatives, "
                             "sampler.row_negatives)"));
  }
}

// A name that is no source would change nothing.
void CheckUncorrected(const model::SoftmaxConfig& softmax, const ConfigRules& rules) {
  const std::vector<std::string> names = sampler::SourceNames();
  for (int i = 0; i < softmax.uncorrected_size(); ++i) {
    const std::string& name = softmax.uncorrected(i);
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    rules.Break(absl::StrCat("uncorrected[", i, "]"),
                absl::StrCat("'", name, "' is not a source of negatives", DidYouMean(name, names),
                             "; sources are ", absl::StrJoin(names, ", ")));
  }
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
  const ConfigRules loss = rules.In("model").In("loss");
  CheckUncorrected(config.model().loss().softmax(), loss.In("softmax"));
  CheckUncorrected(config.model().loss().symmetric().softmax(), loss.In("symmetric").In("softmax"));
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
