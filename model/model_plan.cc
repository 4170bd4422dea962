#include "model/model_plan.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/closest_name.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "model/loss/loss.h"

namespace torii::model {
namespace {

using Problems = std::vector<std::string>;

int64_t EmbeddingDim(const ModelConfig& config, const TowerConfig& tower) {
  return tower.embedding_dim() > 0 ? tower.embedding_dim() : config.dim();
}

void ValidateHistory(const std::string& place, const HistoryConfig& history, Problems& problems) {
  if (history.length() < 1) {
    problems.push_back(absl::StrCat(place, ".length = ", history.length(),
                                    ": must be at least 1; leave `history` out for none"));
  }
  if (!(history.half_life() > 0) || !std::isfinite(history.half_life())) {
    problems.push_back(absl::StrCat(place, ".half_life = ", history.half_life(),
                                    ": must be positive, in items, e.g. 10"));
  }
}

void ValidateTower(const std::string& place, const ModelConfig& config, const TowerConfig& tower,
                   Problems& problems) {
  for (int i = 0; i < tower.hidden_size(); ++i) {
    if (tower.hidden(i) < 1) {
      problems.push_back(absl::StrCat(place, ".hidden[", i, "] = ", tower.hidden(i),
                                      ": a layer's width must be at least 1"));
    }
  }
  if (!(tower.dropout() >= 0 && tower.dropout() < 1)) {
    problems.push_back(
        absl::StrCat(place, ".dropout = ", tower.dropout(), ": must be at least 0 and below 1"));
  }
  if (tower.embedding_dim() < 0) {
    problems.push_back(absl::StrCat(place, ".embedding_dim = ", tower.embedding_dim(),
                                    ": must be positive, or 0 for model.dim"));
  }
  if (tower.combine() == TowerConfig::SUM && EmbeddingDim(config, tower) != config.dim()) {
    problems.push_back(absl::StrCat(place, ".embedding_dim = ", tower.embedding_dim(),
                                    ": SUM adds rows of model.dim = ", config.dim(),
                                    " floats; leave embedding_dim out, or use CONCAT"));
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
  if (config.user().combine() == TowerConfig::SUM && width != config.dim()) {
    problems.push_back(
        absl::StrCat("model.user.combine: SUM adds rows of model.dim = ", config.dim(),
                     " floats, but the history's rows have model.item.embedding_dim = ", width,
                     "; set share_item_table: false, or use CONCAT"));
  }
}

}  // namespace

std::vector<std::string> Validate(const ModelConfig& config) {
  Problems problems;
  if (config.dim() < 1) {
    problems.push_back(absl::StrCat("model.dim = ", config.dim(),
                                    ": must be at least 1; common are 32, 64 and 128"));
  }
  if (!(config.temperature() > 0) || !std::isfinite(config.temperature())) {
    problems.push_back(absl::StrCat("model.temperature = ", config.temperature(),
                                    ": scores are divided by it, so it must be positive; try 0.07 "
                                    "with normalize, 1 without"));
  }
  ValidateTower("model.user", config, config.user(), problems);
  ValidateTower("model.item", config, config.item(), problems);
  if (config.user().has_history()) {
    ValidateHistory("model.user.history", config.user().history(), problems);
  }
  if (config.item().has_history()) {
    problems.push_back("model.item.history: only users have a history; remove it");
  }
  ValidateSharedTable(config, problems);
  for (std::string& problem : Validate(config.loss())) problems.push_back(std::move(problem));
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
    tower.sources.push_back({kind, name, feature, table, width});
  }

  // The features of a tower and what follows from its sources.
  absl::Status PlanTower(const std::string& side, const TowerConfig& config, const SideShape& shape,
                         TowerPlan& tower) {
    tower.side = side;
    tower.embedding_dim = EmbeddingDim(config_, config);
    TORII_ASSIGN_OR_RETURN(const std::vector<int> features, ChooseFeatures(side, config, shape));
    for (const int f : features) AddFeature(tower, f, shape.features[static_cast<size_t>(f)]);
    if (tower.sources.empty()) {
      return ConfigError(absl::StrCat(
          "model.", side, ": the ", side, " tower has no input: no id (use_id: false), no feature",
          side == "user" ? ", no history" : "", "; turn one of them on"));
    }
    const bool sum = config.combine() == TowerConfig::SUM;
    for (const TowerSource& source : tower.sources) {
      tower.joined_width +=
          source.kind == TowerSource::kVector ? tower.embedding_dim : source.width;
    }
    if (sum) tower.joined_width = config_.dim();
    tower.has_final_linear = !sum || config.hidden_size() > 0;
    return absl::OkStatus();
  }

  void AddFeature(TowerPlan& tower, int index, const FeatureShape& feature) {
    if (feature.kind == FeatureShape::kDense) {
      const auto kind = feature.vector ? TowerSource::kVector : TowerSource::kDense;
      tower.sources.push_back({kind, feature.name, index, -1, feature.width});
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
