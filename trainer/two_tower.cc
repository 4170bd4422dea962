#include "trainer/two_tower.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "trainer/tensor_view.h"

namespace torii::trainer {
namespace {

using model::TowerSource;

bool IsEmbedded(const TowerSource& source) { return source.table >= 0; }

bool IsFeature(const TowerSource& source) { return source.feature >= 0; }

// The lists or single rows of one embedded source, as the data hold them.
struct SourceRows {
  std::span<const int64_t> values;                // [n] or [nnz] rows of the source's table
  const std::vector<int64_t>* offsets = nullptr;  // [n + 1] for lists
};

}  // namespace

struct TwoTower::PassRows {
  const data::Features& features;
  std::span<const int64_t> rows;  // [n] users or items
  const data::Bags& history;
  std::span<const int64_t> dropout_key;
  bool owned_ids = false;  // the id rows live on this rank
};

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
    : comm_(comm), dataset_(dataset), config_(config) {}

absl::StatusOr<std::unique_ptr<TwoTower>> TwoTower::Create(comm::Communicator& comm,
                                                           const data::Dataset& dataset,
                                                           const TwoTowerConfig& config) {
  std::unique_ptr<TwoTower> towers(new TwoTower(comm, dataset, config));
  TORII_ASSIGN_OR_RETURN(towers->plan_, model::MakePlan(config.model, ShapeOf(dataset.users()),
                                                        ShapeOf(dataset.items())));
  const model::ModelPlan& plan = towers->plan_;

  // Tables of one width share a group: one exchange serves them all.
  std::map<int64_t, int> group_of_dim;
  std::vector<std::vector<sharding::TableSpec>> specs;
  std::vector<int64_t> dims;
  for (const model::TableShape& table : plan.tables) {
    const auto [it, is_new] = group_of_dim.emplace(table.dim, static_cast<int>(specs.size()));
    if (is_new) {
      specs.emplace_back();
      dims.push_back(table.dim);
    }
    auto& members = specs[static_cast<size_t>(it->second)];
    towers->group_of_table_.push_back(it->second);
    towers->table_in_group_.push_back(static_cast<int>(members.size()));
    members.push_back({table.name, table.rows});
  }
  for (size_t g = 0; g < specs.size(); ++g) {
    TORII_ASSIGN_OR_RETURN(
        auto group, sharding::TableGroup::Create(comm, std::move(specs[g]), dims[g], config.tables,
                                                 config.seed));
    towers->groups_.push_back(std::move(group));
  }

  const model::ModelConfig& m = config.model;
  towers->user_tower_ =
      std::make_unique<model::Tower>(plan.user, m.user(), m.dim(), m.normalize(), towers->dense_);
  towers->item_tower_ =
      std::make_unique<model::Tower>(plan.item, m.item(), m.dim(), m.normalize(), towers->dense_);
  towers->dense_.Allocate(config.seed);
  return towers;
}

absl::StatusOr<TowerPass> TwoTower::Users(std::span<const int64_t> users, const data::Bags& history,
                                          std::span<const int64_t> dropout_key, PassKind kind,
                                          int64_t step) {
  return Pass(*user_tower_, {dataset_.users(), users, history, dropout_key, false}, kind, step);
}

absl::StatusOr<TowerPass> TwoTower::OwnedItems(std::span<const int64_t> items, PassKind kind,
                                               int64_t step) {
  return Pass(*item_tower_, {dataset_.items(), items, no_history_, items, true}, kind, step);
}

absl::StatusOr<TowerPass> TwoTower::Pass(const model::Tower& tower, const PassRows& rows,
                                         PassKind kind, int64_t step) {
  const std::vector<TowerSource>& sources = tower.plan().sources;
  const at::AutoGradMode grad(kind == PassKind::kTraining);

  // What the data say: lists, single rows and floats of the features.
  std::vector<int> which;
  for (const TowerSource& source : sources) {
    if (IsFeature(source)) which.push_back(source.feature);
  }
  TowerPass pass;
  pass.features = rows.features.Gather(rows.rows, which);
  const data::FeatureRows& features = pass.features;

  // All embedded sources of a table group go into one list of keys; owned ids into one of their
  // own.
  struct Asked {
    std::vector<int64_t> keys;
    bool owned = false;
    int group = 0;
  };
  std::vector<Asked> asked;
  const auto asked_for = [&](int group, bool owned) {
    for (size_t a = 0; a < asked.size(); ++a) {
      if (asked[a].group == group && asked[a].owned == owned) return a;
    }
    asked.push_back({{}, owned, group});
    return asked.size() - 1;
  };
  struct Place {
    size_t asked = 0;
    int64_t begin = 0, count = 0;
    const std::vector<int64_t>* offsets = nullptr;
  };
  std::vector<Place> places;
  model::TowerInput input;
  input.n = static_cast<int64_t>(rows.rows.size());
  for (const TowerSource& source : sources) {
    const auto f = static_cast<size_t>(std::max(source.feature, 0));
    if (!IsEmbedded(source)) {
      input.dense.push_back(ViewOf(features.dense[f], input.n, source.width));
      continue;
    }
    SourceRows values;
    if (source.kind == TowerSource::kId) {
      values.values = rows.rows;
    } else if (source.kind == TowerSource::kHistory) {
      values = {rows.history.values, &rows.history.offsets};
    } else {
      values.values = features.bags[f].values;
      if (source.kind == TowerSource::kBag) values.offsets = &features.bags[f].offsets;
    }
    const int group = group_of_table_[static_cast<size_t>(source.table)];
    const int table = table_in_group_[static_cast<size_t>(source.table)];
    const size_t a = asked_for(group, rows.owned_ids && source.kind == TowerSource::kId);
    std::vector<int64_t>& keys = asked[a].keys;
    const int64_t base = groups_[static_cast<size_t>(group)]->Key(table, 0);
    places.push_back({a, static_cast<int64_t>(keys.size()),
                      static_cast<int64_t>(values.values.size()), values.offsets});
    keys.reserve(keys.size() + values.values.size());
    for (const int64_t row : values.values) keys.push_back(base + row);
  }

  // The rows themselves, each distinct one once.
  for (const Asked& a : asked) {
    sharding::TableGroup& group = *groups_[static_cast<size_t>(a.group)];
    TORII_ASSIGN_OR_RETURN(sharding::Lookup lookup,
                           a.owned ? group.FindOwned(a.keys) : group.Find(a.keys));
    pass.lookups.push_back(std::move(lookup));
    pass.groups.push_back(a.group);
  }
  for (const Place& place : places) {
    const sharding::Lookup& lookup = pass.lookups[place.asked];
    input.embedded.push_back({lookup.rows, lookup.index.narrow(0, place.begin, place.count),
                              place.offsets ? ViewOf(*place.offsets) : at::Tensor()});
  }
  if (!rows.dropout_key.empty()) input.dropout_key = ViewOf(rows.dropout_key);

  pass.vectors = tower.Forward(input, {kind == PassKind::kTraining, config_.seed, step});
  return pass;
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
  for (size_t g = 0; g < groups_.size(); ++g) {
    std::vector<sharding::Lookup*> lookups;
    for (TowerPass* pass : passes) {
      for (size_t l = 0; l < pass->lookups.size(); ++l) {
        if (pass->groups[l] == static_cast<int>(g)) lookups.push_back(&pass->lookups[l]);
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
  for (const TowerSource& source : plan_.user.sources) {
    if (source.kind == TowerSource::kHistory) return config_.model.user().history().length();
  }
  return 0;
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
  return lines;
}

}  // namespace torii::trainer
