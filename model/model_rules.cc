#include "model/model_rules.h"

#include "absl/strings/str_cat.h"
#include "base/chosen_kind.h"
#include "model/join/join.h"
#include "model/loss/loss.h"
#include "model/scorer/mlp_scorer.h"
#include "model/scorer/scorer_factory.h"
#include "model/sequence/sequence_encoder.h"
#include "model/trunk/trunk.h"

namespace torii::model {
namespace {

void ValidateTower(const ModelConfig& config, const TowerConfig& tower, const ConfigRules& rules) {
  ValidateTrunk(tower.trunk(), rules.In("trunk"));
  rules.Require(tower.embedding_dim() >= 0, "embedding_dim", tower.embedding_dim(),
                "positive, or 0 for model.dim");
  if (WantsWidthOfModel(tower.join()) && EmbeddingDim(config, tower) != config.dim()) {
    rules.Break("embedding_dim",
                absl::StrCat("is ", tower.embedding_dim(),
                             ", but join { sum {} } adds rows of model.dim = ", config.dim(),
                             " floats; leave embedding_dim out, or use concat"));
  }
  if (tower.no_features() && tower.feature_size() > 0) {
    rules.Break("no_features", absl::StrCat("is true, yet `feature` names '", tower.feature(0),
                                            "'; keep one of the two"));
  }
  for (int i = 0; i < tower.feature_size(); ++i) {
    for (int j = 0; j < i; ++j) {
      rules.Require(tower.feature(i) != tower.feature(j), absl::StrCat("feature[", i, "]"),
                    absl::StrCat("'", tower.feature(i), "' is there twice"));
    }
  }
}

void ValidateSharedTable(const ModelConfig& config, const ConfigRules& rules) {
  const HistoryConfig& history = config.user().history();
  if (!config.user().has_history() || !history.share_item_table()) return;
  rules.Require(config.item().use_id(), "user.history.share_item_table",
                "is true, but model.item.use_id is false, so that there is no item id table; set "
                "share_item_table: false");
  const int64_t rows = EmbeddingDim(config, config.item()), width = SequenceWidth(history, rows);
  if (WantsWidthOfModel(config.user().join()) && width != config.dim()) {
    rules.Break("user.join",
                absl::StrCat("sum {} adds vectors of model.dim = ", config.dim(),
                             " floats, but 'history' gives ", width,
                             " (its rows have model.item.embedding_dim = ", rows,
                             "); make it as wide, with share_item_table: false if the rows are "
                             "not, or use concat"));
  }
}

}  // namespace

int64_t EmbeddingDim(const ModelConfig& config, const TowerConfig& tower) {
  return tower.embedding_dim() > 0 ? tower.embedding_dim() : config.dim();
}

void FillDefaultKinds(ModelConfig* config) {
  for (TowerConfig* tower : {config->mutable_user(), config->mutable_item()}) {
    if (tower->join().kind_case() == JoinConfig::KIND_NOT_SET) {
      tower->mutable_join()->mutable_concat();
    }
    if (tower->trunk().kind_case() == TrunkConfig::KIND_NOT_SET) {
      tower->mutable_trunk()->mutable_mlp();
    }
    if (tower->has_history() &&
        tower->history().sequence_case() == HistoryConfig::SEQUENCE_NOT_SET) {
      tower->mutable_history()->mutable_mean();
    }
  }
  if (config->has_shared_trunk() &&
      config->shared_trunk().kind_case() == TrunkConfig::KIND_NOT_SET) {
    config->mutable_shared_trunk()->mutable_mlp();
  }
  if (config->loss().kind_case() == LossConfig::KIND_NOT_SET) {
    config->mutable_loss()->mutable_softmax();
  }
  if (config->scorer().kind_case() == ScorerConfig::KIND_NOT_SET) {
    config->mutable_scorer()->mutable_inner_product();
  }
  if (config->scorer().has_mlp() && config->scorer().mlp().hidden().empty()) {
    config->mutable_scorer()->mutable_mlp()->add_hidden(kDefaultScorerWidth);
  }
}

void Validate(const ModelConfig& config, const ConfigRules& rules) {
  rules.Require(config.dim() >= 1, "dim", config.dim(), "at least 1 (common are 32, 64 and 128)");
  ValidateTower(config, config.user(), rules.In("user"));
  ValidateTower(config, config.item(), rules.In("item"));
  if (config.user().has_history()) {
    ValidateHistory(config.user().history(), rules.In("user").In("history"));
  }
  rules.Require(!config.item().has_history(), "item.history",
                "only users have a history; remove it");
  ValidateSharedTable(config, rules);
  Validate(config.loss(), rules.In("loss"));
  ValidateTrunk(config.shared_trunk(), rules.In("shared_trunk"));
  ValidateScorer(config.scorer(), rules.In("scorer"));
  rules.Require(
      IsInnerProduct(config.scorer()) || !NeedsOf(config.loss()).inner_product,
      absl::StrCat("loss.", NameOf(config.loss())),
      absl::StrCat("needs an inner product, but model.scorer is ", ChosenKind(config.scorer()),
                   "; use another loss, or scorer { inner_product {} }"));
}

}  // namespace torii::model
