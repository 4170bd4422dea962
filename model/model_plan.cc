#include "model/model_plan.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/closest_name.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "model/join/join.h"
#include "model/model_rules.h"
#include "model/sequence/sequence_encoder.h"
#include "model/trunk/trunk.h"

namespace torii::model {
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
  const ConfigRules rules("model");
  Validate(config, rules);
  TORII_RETURN_IF_ERROR(rules.status());
  return Planner(config).Plan(users, items);
}

}  // namespace torii::model
