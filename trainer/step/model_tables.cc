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

// What the passes ask of a group, in the order of an update: pass by pass, lookup by lookup.
template <class Pass, class Member>
std::vector<const Member*> OfGroup(size_t group, std::span<const Pass* const> passes,
                                   std::vector<Member> Pass::* members) {
  std::vector<const Member*> found;
  for (const Pass* pass : passes) {
    const std::vector<Member>& of_pass = pass->*members;
    for (size_t l = 0; l < of_pass.size(); ++l) {
      if (pass->plan->lookups[l].group == static_cast<int>(group)) found.push_back(&of_pass[l]);
    }
  }
  return found;
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

absl::StatusOr<PassRoutes> ModelTables::PlanLookups(comm::Communicator& comm, const PassPlan& plan,
                                                    std::span<const std::vector<int64_t>> keys) {
  PassRoutes result{&plan, {}};
  for (size_t l = 0; l < plan.lookups.size(); ++l) {
    const PlannedLookup& planned = plan.lookups[l];
    sharding::TableGroup& group = *groups_[static_cast<size_t>(planned.group)];
    if (planned.owned) {
      result.routes.push_back(group.PlanOwned(keys[l]));
    } else {
      TORII_ASSIGN_OR_RETURN(result.routes.emplace_back(), group.PlanLookup(comm, keys[l]));
    }
  }
  return result;
}

absl::StatusOr<PassLookups> ModelTables::Fetch(comm::Communicator& comm, PassRoutes routes) {
  PassLookups result{routes.plan, {}};
  for (size_t l = 0; l < routes.routes.size(); ++l) {
    sharding::TableGroup& group = *groups_[static_cast<size_t>(routes.plan->lookups[l].group)];
    TORII_ASSIGN_OR_RETURN(result.lookups.emplace_back(),
                           group.Fetch(comm, std::move(routes.routes[l])));
  }
  return result;
}

absl::Status ModelTables::PlanUpdate(comm::Communicator& comm,
                                     std::span<const PassRoutes* const> passes,
                                     std::vector<sharding::UpdatePlan>* plans) {
  plans->resize(groups_.size());
  for (size_t g = 0; g < groups_.size(); ++g) {
    TORII_RETURN_IF_ERROR(groups_[g]->PlanUpdate(
        comm, OfGroup<PassRoutes, sharding::Route>(g, passes, &PassRoutes::routes), &(*plans)[g]));
  }
  return absl::OkStatus();
}

absl::Status ModelTables::Update(comm::Communicator& comm, std::vector<sharding::UpdatePlan>& plans,
                                 std::span<const PassLookups* const> passes,
                                 double learning_rate_factor, int64_t step) {
  const TraceSpan span("table update");
  for (size_t g = 0; g < groups_.size(); ++g) {
    TORII_RETURN_IF_ERROR(groups_[g]->Update(
        comm, plans[g], OfGroup<PassLookups, sharding::Lookup>(g, passes, &PassLookups::lookups),
        learning_rate_factor, step));
  }
  return absl::OkStatus();
}

absl::Status ModelTables::PlanAndUpdate(comm::Communicator& comm,
                                        std::span<const PassLookups* const> passes,
                                        double learning_rate_factor, int64_t step) {
  plans_.resize(groups_.size());
  std::vector<const sharding::Route*> routes;
  for (size_t g = 0; g < groups_.size(); ++g) {
    routes.clear();
    for (const sharding::Lookup* lookup :
         OfGroup<PassLookups, sharding::Lookup>(g, passes, &PassLookups::lookups)) {
      routes.push_back(&lookup->route);
    }
    TORII_RETURN_IF_ERROR(groups_[g]->PlanUpdate(comm, routes, &plans_[g]));
  }
  return Update(comm, plans_, passes, learning_rate_factor, step);
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
