#include "trainer/two_tower.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "base/trace.h"

namespace torii::trainer {

model::SideShape ShapeOf(const data::Features& features) {
  model::SideShape shape;
  shape.rows = features.rows();
  for (const data::PreparedFeature& feature : features.info()) {
    model::FeatureShape out;
    out.name = feature.name();
    switch (feature.kind()) {
      case data::PreparedFeature::BAG:
        out.kind = model::FeatureShape::kBag;
        break;
      case data::PreparedFeature::SINGLE:
        out.kind = model::FeatureShape::kSingle;
        break;
      case data::PreparedFeature::DENSE:
        out.kind = model::FeatureShape::kDense;
        break;
    }
    out.rows = feature.rows();
    out.width = feature.width();
    out.vector = feature.vector();
    shape.features.push_back(std::move(out));
  }
  return shape;
}

TwoTower::TwoTower(comm::Communicator& comm, const data::Dataset& dataset,
                   const TwoTowerConfig& config)
    : comm_(comm), dataset_(dataset), config_(config), loss_(config.model.loss_precision()) {}

absl::StatusOr<std::unique_ptr<TwoTower>> TwoTower::Create(comm::Communicator& comm,
                                                           const data::Dataset& dataset,
                                                           const TwoTowerConfig& config) {
  std::unique_ptr<TwoTower> towers(new TwoTower(comm, dataset, config));
  TORII_ASSIGN_OR_RETURN(towers->plan_, model::MakePlan(config.model, ShapeOf(dataset.users()),
                                                        ShapeOf(dataset.items())));
  TORII_ASSIGN_OR_RETURN(const std::vector<TablePlace> places, towers->CreateTables());
  const model::ModelConfig& m = config.model;
  const auto tower = [&](const model::TowerPlan& plan, const model::TowerConfig& tower_config) {
    return std::make_unique<model::Tower>(plan, tower_config, m.dim(), m.normalize(),
                                          towers->dense_);
  };
  const model::ModelPlan& plan = towers->plan_;
  towers->user_ = {tower(plan.user, m.user()), PlanPass(plan.user, places, /*owned_ids=*/false),
                   "user lookup", "user tower"};
  towers->item_ = {tower(plan.item, m.item()), PlanPass(plan.item, places, /*owned_ids=*/true),
                   "item lookup", "item tower"};
  towers->dense_.Allocate(config.seed);
  return towers;
}

// Tables of one width share a group: one exchange serves them all.
absl::StatusOr<std::vector<TablePlace>> TwoTower::CreateTables() {
  std::map<int64_t, std::vector<sharding::TableSpec>> specs;  // by width
  for (const model::TableShape& table : plan_.tables) {
    specs[table.dim].push_back({table.name, table.rows});
  }
  std::map<int64_t, int> group_of_dim;
  for (auto& [dim, members] : specs) {
    group_of_dim[dim] = static_cast<int>(groups_.size());
    TORII_ASSIGN_OR_RETURN(
        groups_.emplace_back(),
        sharding::TableGroup::Create(comm_, std::move(members), dim, config_.tables, config_.seed));
  }
  std::vector<TablePlace> places;
  std::vector<int> created(groups_.size(), 0);  // tables of each group so far
  for (const model::TableShape& table : plan_.tables) {
    const int group = group_of_dim.at(table.dim);
    const auto g = static_cast<size_t>(group);
    places.push_back({group, groups_[g]->Key(created[g]++, 0)});
  }
  return places;
}

absl::StatusOr<TowerPass> TwoTower::Users(std::span<const int64_t> users, const data::Bags& history,
                                          std::span<const int64_t> dropout_key, PassKind kind,
                                          int64_t step) {
  return Pass(user_, {dataset_.users(), users, history, dropout_key}, kind, step);
}

absl::StatusOr<TowerPass> TwoTower::OwnedItems(std::span<const int64_t> items, PassKind kind,
                                               int64_t step) {
  return Pass(item_, {dataset_.items(), items, no_history_, items}, kind, step);
}

absl::StatusOr<TowerPass> TwoTower::Pass(const Side& side, const PassRows& rows, PassKind kind,
                                         int64_t step) {
  const bool training = kind == PassKind::kTraining;
  const at::AutoGradMode grad(training);
  TowerPass pass;
  pass.plan = &side.plan;
  TORII_RETURN_IF_ERROR(LookUp(side, rows, &pass));
  const TraceSpan span(side.tower_span);
  pass.vectors = side.tower->Forward(InputOf(side.plan, rows, pass.features, pass.lookups),
                                     {training, config_.seed, step});
  return pass;
}

absl::Status TwoTower::LookUp(const Side& side, const PassRows& rows, TowerPass* pass) {
  const PassPlan& plan = side.plan;
  const TraceSpan span(side.lookup_span);
  pass->features = rows.features.Gather(rows.rows, plan.features);
  FillKeys(plan, rows, pass->features, &keys_);
  for (size_t l = 0; l < plan.lookups.size(); ++l) {
    const PlannedLookup& planned = plan.lookups[l];
    sharding::TableGroup& group = *groups_[static_cast<size_t>(planned.group)];
    TORII_ASSIGN_OR_RETURN(pass->lookups.emplace_back(),
                           planned.owned ? group.FindOwned(keys_[l]) : group.Find(keys_[l]));
  }
  return absl::OkStatus();
}

absl::StatusOr<at::Tensor> TwoTower::AllOwnedItems(int64_t batch) {
  const int rank = comm_.rank(), world = comm_.world_size();
  const int64_t total = dataset_.items().rows();
  const int64_t owned = OwnedRows(total, rank, world);
  const int64_t most =
      OwnedRows(total, 0, world);  // of any rank: all make the same number of calls
  at::Tensor out = at::empty({owned, config_.model.dim()}, at::kFloat);
  std::vector<int64_t> items;
  for (int64_t begin = 0; begin < most; begin += batch) {
    items.clear();
    for (int64_t i = begin; i < std::min(begin + batch, owned); ++i) {
      items.push_back(rank + i * world);
    }
    TORII_ASSIGN_OR_RETURN(const TowerPass pass, OwnedItems(items, PassKind::kInference, 0));
    if (!items.empty()) {
      out.narrow(0, begin, static_cast<int64_t>(items.size())).copy_(pass.vectors);
    }
  }
  return out;
}

absl::Status TwoTower::UpdateTables(std::span<TowerPass* const> passes, double learning_rate_factor,
                                    int64_t step) {
  const TraceSpan span("table update");
  for (size_t g = 0; g < groups_.size(); ++g) {
    std::vector<sharding::Lookup*> lookups;
    for (TowerPass* pass : passes) {
      for (size_t l = 0; l < pass->lookups.size(); ++l) {
        if (pass->plan->lookups[l].group == static_cast<int>(g))
          lookups.push_back(&pass->lookups[l]);
      }
    }
    TORII_RETURN_IF_ERROR(groups_[g]->Update(lookups, learning_rate_factor, step));
  }
  return absl::OkStatus();
}

std::vector<sharding::TableState> TwoTower::TableStates() {
  std::vector<sharding::TableState> states;
  for (auto& group : groups_) {
    for (sharding::TableState& state : group->State()) states.push_back(std::move(state));
  }
  return states;
}

int64_t TwoTower::history_length() const {
  for (const model::TowerSource& source : plan_.user.sources) {
    if (source.kind == model::TowerSource::kHistory) return config_.model.user().history().length();
  }
  return 0;
}

bool TwoTower::users_have_one_vector() const {
  const auto is_history = [](const model::TowerSource& source) {
    return source.kind == model::TowerSource::kHistory;
  };
  return config_.model.user().dropout() == 0 &&
         std::none_of(plan_.user.sources.begin(), plan_.user.sources.end(), is_history);
}

std::vector<std::string> TwoTower::Description() const {
  std::vector<std::string> lines;
  for (const model::TableShape& table : plan_.tables) {
    lines.push_back(absl::StrCat("table ", table.name, ": ", table.rows, " rows x ", table.dim));
  }
  int64_t bytes = 0;
  for (const auto& group : groups_) bytes += group->bytes();
  lines.push_back(absl::StrCat("tables and optimizer state on this rank: ", bytes >> 20, " MiB, ",
                               dense_.size(), " dense weights"));
  lines.push_back(absl::StrCat("loss: ", loss_.Description()));
  return lines;
}

}  // namespace torii::trainer
