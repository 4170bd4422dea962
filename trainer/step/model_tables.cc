#include "trainer/step/model_tables.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/status_macros.h"
#include "base/trace.h"
#include "sharding/table_config.h"

namespace torii::trainer {
namespace {

// The tables that share a group, in the order in which they lie there: those of one optimizer side
// by side.
using GroupMembers = std::map<std::pair<int64_t, Partition::Kind>, std::vector<size_t>>;

GroupMembers MembersOf(std::span<const sharding::TableNeed> needs,
                       std::span<const sharding::PlacedTable> placed) {
  GroupMembers groups;
  for (size_t t = 0; t < needs.size(); ++t) {
    groups[{needs[t].width, placed[t].kind}].push_back(t);
  }
  for (auto& [key, members] : groups) {
    std::stable_sort(members.begin(), members.end(), [&](size_t a, size_t b) {
      return needs[a].config.optimizer() < needs[b].config.optimizer();
    });
  }
  return groups;
}

const PassLayout& LayoutOf(const PassPlan& plan) { return *plan.layout; }
const PassLayout& LayoutOf(const FetchedPass& pass) { return *pass.plan->layout; }

// Calls visit(pass, lookup) for what the passes ask of a group, in the order of an update: pass by
// pass, lookup by lookup.
template <class Pass, class Visit>
void VisitGroup(size_t group, std::span<const Pass* const> passes, const Visit& visit) {
  for (const Pass* pass : passes) {
    const std::vector<PlannedLookup>& lookups = LayoutOf(*pass).lookups;
    for (size_t l = 0; l < lookups.size(); ++l) {
      if (lookups[l].group == static_cast<int>(group)) visit(*pass, l);
    }
  }
}

}  // namespace

absl::StatusOr<std::vector<sharding::TableNeed>> TableNeedsOf(
    const model::ModelPlan& plan, const sharding::TableConfig& defaults,
    std::span<const sharding::TableConfig> overrides, int64_t rows_per_rank) {
  std::vector<std::string> names;
  for (const model::TableShape& table : plan.tables) names.push_back(table.name);
  TORII_ASSIGN_OR_RETURN(const std::vector<sharding::TableConfig> configs,
                         sharding::ConfigsOf(names, defaults, overrides));
  std::vector<sharding::TableNeed> needs;
  for (size_t t = 0; t < names.size(); ++t) {
    needs.push_back({names[t], plan.tables[t].rows, plan.tables[t].dim, configs[t]});
  }
  for (const model::TowerPlan* tower : {&plan.user, &plan.item}) {
    for (const model::TowerSource& source : tower->sources) {
      if (source.table < 0) continue;
      sharding::TableNeed& need = needs[static_cast<size_t>(source.table)];
      const bool is_list =
          source.kind == model::TowerSource::kBag || source.kind == model::TowerSource::kHistory;
      // How long lists are is not known here: they may name every row.
      need.lookups += is_list ? std::max(need.rows, rows_per_rank) : rows_per_rank;
      need.grows |=
          source.kind == model::TowerSource::kId || source.kind == model::TowerSource::kHistory;
    }
  }
  return needs;
}

absl::StatusOr<std::unique_ptr<ModelTables>> ModelTables::Create(
    int rank, int world_size, std::vector<sharding::TableNeed> needs, uint64_t seed,
    const kernels::Device& device) {
  std::unique_ptr<ModelTables> tables(new ModelTables);
  tables->needs_ = std::move(needs);
  tables->placed_ = sharding::PlanTables(tables->needs_, world_size);
  tables->places_.resize(tables->needs_.size());
  for (const auto& [width_and_kind, members] : MembersOf(tables->needs_, tables->placed_)) {
    const auto& [width, kind] = width_and_kind;
    std::vector<sharding::TableSpec> specs;
    for (const size_t t : members) {
      const sharding::TableNeed& need = tables->needs_[t];
      specs.push_back({need.name, need.rows, need.config});
    }
    TORII_ASSIGN_OR_RETURN(
        auto group, sharding::TableGroup::Create(rank, world_size, std::move(specs), width, kind,
                                                 seed, device));
    for (size_t i = 0; i < members.size(); ++i) {
      tables->places_[members[i]] = {static_cast<int>(tables->groups_.size()), static_cast<int>(i),
                                     &group->keys()};
    }
    tables->groups_.push_back(std::move(group));
  }
  return tables;
}

absl::Status ModelTables::PlanLookups(comm::Communicator& comm, PassPlan* plan) {
  const std::vector<PlannedLookup>& lookups = plan->layout->lookups;
  plan->routes.resize(lookups.size());
  for (size_t l = 0; l < lookups.size(); ++l) {
    sharding::TableGroup& group = *groups_[static_cast<size_t>(lookups[l].group)];
    if (lookups[l].owned) {
      plan->routes[l] = group.PlanOwned(plan->keys[l]);
    } else {
      TORII_ASSIGN_OR_RETURN(plan->routes[l], group.PlanLookup(comm, plan->keys[l]));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<FetchedPass> ModelTables::Fetch(comm::Communicator& comm, const PassPlan& plan) {
  FetchedPass pass{&plan, {}};
  for (size_t l = 0; l < plan.routes.size(); ++l) {
    sharding::TableGroup& group = *groups_[static_cast<size_t>(plan.layout->lookups[l].group)];
    TORII_ASSIGN_OR_RETURN(pass.rows.emplace_back(), group.Fetch(comm, plan.routes[l]));
  }
  return pass;
}

absl::Status ModelTables::PlanUpdate(comm::Communicator& comm,
                                     std::span<const PassPlan* const> passes,
                                     std::vector<sharding::UpdatePlan>* updates) {
  updates->resize(groups_.size());
  std::vector<const sharding::Route*> routes;
  for (size_t g = 0; g < groups_.size(); ++g) {
    routes.clear();
    VisitGroup(g, passes,
               [&](const PassPlan& pass, size_t l) { routes.push_back(&pass.routes[l]); });
    TORII_RETURN_IF_ERROR(groups_[g]->PlanUpdate(comm, routes, &(*updates)[g]));
  }
  return absl::OkStatus();
}

absl::Status ModelTables::Update(comm::Communicator& comm,
                                 std::vector<sharding::UpdatePlan>& updates,
                                 std::span<const FetchedPass* const> passes,
                                 const kernels::UpdateTerms& terms) {
  const TraceSpan span("table update");
  std::vector<at::Tensor> rows;
  for (size_t g = 0; g < groups_.size(); ++g) {
    rows.clear();
    VisitGroup(g, passes, [&](const FetchedPass& pass, size_t l) { rows.push_back(pass.rows[l]); });
    TORII_RETURN_IF_ERROR(groups_[g]->Update(comm, updates[g], rows, terms));
  }
  return absl::OkStatus();
}

std::vector<sharding::TableState> ModelTables::State() {
  std::vector<sharding::TableState> states;
  for (auto& group : groups_) {
    for (sharding::TableState& state : group->State()) states.push_back(std::move(state));
  }
  return states;
}

std::vector<std::string> ModelTables::Description() const {
  return sharding::DescribePlan(needs_, placed_);
}

int64_t ModelTables::bytes() const {
  int64_t bytes = 0;
  for (const auto& group : groups_) bytes += group->bytes();
  return bytes;
}

}  // namespace torii::trainer
