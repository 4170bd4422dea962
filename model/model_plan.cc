#include "model/model_plan.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/closest_name.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "model/join/join.h"
#include "model/loss/loss.h"
#include "model/scorer/inner_product.h"
#include "model/scorer/mlp_scorer.h"
#include "model/sequence/sequence_encoder.h"
#include "model/trunk/trunk.h"

namespace torii::model {
namespace {

using Problems = std::vector<std::string>;

void Add(const Problems& more, Problems& problems) {
  problems.insert(problems.end(), more.begin(), more.end());
}

int64_t EmbeddingDim(const ModelConfig& config, const TowerConfig& tower) {
  return tower.embedding_dim() > 0 ? tower.embedding_dim() : config.dim();
}

void ValidateTower(const std::string& place, const ModelConfig& config, const TowerConfig& tower,
                   Problems& problems) {
  Add(ValidateTrunk(place + ".trunk", tower.trunk()), problems);
  if (tower.embedding_dim() < 0) {
    problems.push_back(absl::StrCat(place, ".embedding_dim = ", tower.embedding_dim(),
                                    ": must be positive, or 0 for model.dim"));
  }
  if (tower.join().has_sum() && EmbeddingDim(config, tower) != config.dim()) {
    problems.push_back(absl::StrCat(place, ".embedding_dim = ", tower.embedding_dim(), ": ", place,
                                    ".join { sum {} } adds rows of model.dim = ", config.dim(),
                                    " floats; leave embedding_dim out, or use concat"));
  }
  if (tower.no_features() && tower.feature_size() > 0) {
    problems.push_back(absl::StrCat(place, ".no_features: true, yet ", place, ".feature names '",
                                    tower.feature(0), "'; keep one of the two"));
  }
  for (int i = 0; i < tower.feature_size(); ++i) {
    for (int j = 0; j < i; ++j) {
      if (tower.feature(i) == tower.feature(j)) {
        problems.push_back(absl::StrCat(place, ".feature: '", tower.feature(i), "' twice"));
      }
    }
  }
}

void ValidateSharedTable(const ModelConfig& config, Problems& problems) {
  if (!config.user().has_history() || !config.user().history().share_item_table()) return;
  if (!config.item().use_id()) {
    problems.push_back(
        "model.user.history.share_item_table: true, but model.item.use_id is false, so there is "
        "no item id table; set share_item_table: false");
  }
  const int64_t width = EmbeddingDim(config, config.item());
  if (config.user().join().has_sum() && !config.user().history().has_gru() &&
      width != config.dim()) {
    problems.push_back(
        absl::StrCat("model.user.join { sum {} } adds rows of model.dim = ", config.dim(),
                     " floats, but the history's rows have model.item.embedding_dim = ", width,
                     "; set share_item_table: false, or use concat"));
  }
}

void ValidateScorer(const ScorerConfig& scorer, Problems& problems) {
  constexpr char kPlace[] = "model.scorer";
  for (int i = 0; i < scorer.mlp().hidden_size(); ++i) {
    if (scorer.mlp().hidden(i) >= 1) continue;
    problems.push_back(absl::StrCat(kPlace, ".mlp.hidden[", i, "] = ", scorer.mlp().hidden(i),
                                    ": a layer's width must be at least 1"));
  }
  const double temperature = scorer.inner_product().temperature();
  if (!(temperature > 0) || !std::isfinite(temperature)) {
    problems.push_back(absl::StrCat(kPlace, ".inner_product.temperature = ", temperature,
                                    ": scores are divided by it, so it must be positive; try 0.07 "
                                    "with normalize, 1 without"));
  } else if (scorer.inner_product().learned_temperature() &&
             1 / temperature > kMostInverseTemperature) {
    problems.push_back(absl::StrCat(kPlace, ".inner_product.temperature = ", temperature,
                                    ": learned_temperature starts there, and never goes below ",
                                    1 / kMostInverseTemperature));
  }
}

}  // namespace

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

std::vector<std::string> Validate(const ModelConfig& config) {
  Problems problems;
  if (config.dim() < 1) {
    problems.push_back(absl::StrCat("model.dim = ", config.dim(),
                                    ": must be at least 1; common are 32, 64 and 128"));
  }
  ValidateTower("model.user", config, config.user(), problems);
  ValidateTower("model.item", config, config.item(), problems);
  if (config.user().has_history()) {
    Add(ValidateHistory("model.user.history", config.user().history()), problems);
  }
  if (config.item().has_history()) {
    problems.push_back("model.item.history: only users have a history; remove it");
  }
  ValidateSharedTable(config, problems);
  Add(Validate(config.loss()), problems);
  Add(ValidateTrunk("model.shared_trunk", config.shared_trunk()), problems);
  ValidateScorer(config.scorer(), problems);
  if (config.scorer().has_mlp() && config.loss().has_symmetric()) {
    problems.push_back(
        "model.loss.symmetric: needs an inner product, but model.scorer is mlp; use another loss, "
        "or scorer { inner_product {} }");
  }
  return problems;
}

namespace {

// Builds the plan source by source.
class Planner {
 public:
  explicit Planner(const ModelConfig& config) : config_(config) {}

  absl::StatusOr<ModelPlan> Plan(const SideShape& users, const SideShape& items) {
    const int64_t item_dim = EmbeddingDim(config_, config_.item());
    const int64_t user_dim = EmbeddingDim(config_, config_.user());
    // The order of the id tables is part of the interface: item, then user.
    if (config_.item().use_id()) {
      plan_.item_id_table = AddTable("item_id", items.rows, item_dim);
      AddEmbedded(plan_.item, TowerSource::kId, "id", -1, plan_.item_id_table);
    }
    if (config_.user().use_id()) {
      const int table = AddTable("user_id", users.rows, user_dim);
      AddEmbedded(plan_.user, TowerSource::kId, "id", -1, table);
    }
    if (config_.user().has_history()) {
      const int table = config_.user().history().share_item_table()
                            ? plan_.item_id_table
                            : AddTable("history", items.rows, user_dim);
      AddEmbedded(plan_.user, TowerSource::kHistory, "history", -1, table);
    }
    TORII_RETURN_IF_ERROR(PlanTower("user", config_.user(), users, plan_.user));
    TORII_RETURN_IF_ERROR(PlanTower("item", config_.item(), items, plan_.item));
    TORII_RETURN_IF_ERROR(CheckSharedTrunk());
    return std::move(plan_);
  }

 private:
  int AddTable(std::string name, int64_t rows, int64_t dim) {
    plan_.tables.push_back({std::move(name), rows, dim});
    return static_cast<int>(plan_.tables.size()) - 1;
  }

  void AddEmbedded(TowerPlan& tower, TowerSource::Kind kind, const std::string& name, int feature,
                   int table) {
    const int64_t width = plan_.tables[static_cast<size_t>(table)].dim;
    const bool is_history = kind == TowerSource::kHistory;
    const int64_t output = is_history ? SequenceWidth(config_.user().history(), width) : width;
    tower.sources.push_back({.kind = kind,
                             .name = name,
                             .feature = feature,
                             .table = table,
                             .width = width,
                             .output = output});
  }

  // The features of a tower and what follows from its sources.
  absl::Status PlanTower(const std::string& side, const TowerConfig& config, const SideShape& shape,
                         TowerPlan& tower) {
    tower.side = side;
    tower.embedding_dim = EmbeddingDim(config_, config);
    TORII_ASSIGN_OR_RETURN(const std::vector<int> features, ChooseFeatures(side, config, shape));
    for (const int f : features) {
      AddFeature(config, tower, f, shape.features[static_cast<size_t>(f)]);
    }
    if (tower.sources.empty()) {
      return ConfigError(absl::StrCat(
          "model.", side, ": the ", side, " tower has no input: no id (use_id: false), no feature",
          side == "user" ? ", no history" : "", "; turn one of them on"));
    }
    TORII_RETURN_IF_ERROR(CheckWidths(side, config, tower));
    std::vector<int64_t> widths;
    for (const TowerSource& source : tower.sources) widths.push_back(source.output);
    tower.joined_width = JoinedWidth(config.join(), widths);
    tower.trunk_width = TrunkWidth(config.trunk(), tower.joined_width, config_.dim());
    return PlanHead(side, config, tower);
  }

  // Whether the join can take the vectors of the inputs.
  absl::Status CheckWidths(const std::string& side, const TowerConfig& config,
                           const TowerPlan& tower) const {
    if (!WantsWidthOfModel(config.join())) return absl::OkStatus();
    for (const TowerSource& source : tower.sources) {
      if (source.output == config_.dim()) continue;
      return ConfigError(absl::StrCat(
          "model.", side, ".join { sum {} }: adds vectors of model.dim = ", config_.dim(),
          " floats, but '", source.name, "' gives ", source.output,
          "; use concat, or make it as wide"));
    }
    return absl::OkStatus();
  }

  absl::Status PlanHead(const std::string& side, const TowerConfig& config,
                        TowerPlan& tower) const {
    const bool has_trunk = !IsIdentity(config.trunk()) || config_.has_shared_trunk();
    tower.has_linear_head =
        config.head().has_linear() ||
        (!config.head().has_none() && (!WantsWidthOfModel(config.join()) || has_trunk));
    const int64_t width = config_.has_shared_trunk()
                              ? TrunkWidth(config_.shared_trunk(), tower.trunk_width, config_.dim())
                              : tower.trunk_width;
    if (tower.has_linear_head || width == config_.dim()) return absl::OkStatus();
    return ConfigError(absl::StrCat("model.", side, ".head { none {} }: the trunk gives ", width,
                                    " floats, the vector has model.dim = ", config_.dim(),
                                    "; make them equal, or use head { linear {} }"));
  }

  absl::Status CheckSharedTrunk() const {
    if (!config_.has_shared_trunk() || plan_.user.trunk_width == plan_.item.trunk_width) {
      return absl::OkStatus();
    }
    return ConfigError(
        absl::StrCat("model.shared_trunk: the user tower brings ", plan_.user.trunk_width,
                     " floats to it, the item tower ", plan_.item.trunk_width,
                     "; end model.user.trunk and model.item.trunk in layers of one width"));
  }

  void AddFeature(const TowerConfig& config, TowerPlan& tower, int index,
                  const FeatureShape& feature) {
    if (feature.kind == FeatureShape::kDense) {
      const bool is_summed = WantsWidthOfModel(config.join());
      const bool has_linear = feature.vector || is_summed;
      const int64_t wide = is_summed ? config_.dim() : tower.embedding_dim;
      tower.sources.push_back({.kind = feature.vector ? TowerSource::kVector : TowerSource::kDense,
                               .name = feature.name,
                               .feature = index,
                               .width = feature.width,
                               .output = has_linear ? wide : feature.width,
                               .has_linear = has_linear});
      return;
    }
    const int table = AddTable(tower.side + "." + feature.name, feature.rows, tower.embedding_dim);
    const auto kind = feature.kind == FeatureShape::kBag ? TowerSource::kBag : TowerSource::kSingle;
    AddEmbedded(tower, kind, feature.name, index, table);
  }

  // Indices of the features to use: those named, in the order of the data; all if none is named.
  static absl::StatusOr<std::vector<int>> ChooseFeatures(const std::string& side,
                                                         const TowerConfig& config,
                                                         const SideShape& shape) {
    std::vector<int> chosen;
    if (config.no_features()) return chosen;
    std::vector<std::string> names;
    for (const FeatureShape& feature : shape.features) names.push_back(feature.name);
    for (const std::string& wanted : config.feature()) {
      bool found = false;
      for (const std::string& name : names) found |= name == wanted;
      if (found) continue;
      return ConfigError(absl::StrCat("model.", side, ".feature: '", wanted,
                                      "' is not a feature of the ", side, "s",
                                      DidYouMean(wanted, names), "; the prepared data have ",
                                      names.empty() ? "none" : absl::StrJoin(names, ", ")));
    }
    for (size_t f = 0; f < names.size(); ++f) {
      bool wanted = config.feature_size() == 0;
      for (const std::string& name : config.feature()) wanted |= name == names[f];
      if (wanted) chosen.push_back(static_cast<int>(f));
    }
    return chosen;
  }

  const ModelConfig& config_;
  ModelPlan plan_;
};

}  // namespace

absl::StatusOr<ModelPlan> MakePlan(const ModelConfig& config, const SideShape& users,
                                   const SideShape& items) {
  const std::vector<std::string> problems = Validate(config);
  if (!problems.empty()) return ConfigError(absl::StrJoin(problems, "\n"));
  return Planner(config).Plan(users, items);
}

}  // namespace torii::model
