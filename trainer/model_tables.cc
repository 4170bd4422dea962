#include "trainer/model_tables.h"

#include <map>
#include <utility>

#include "base/status_macros.h"
#include "base/trace.h"

namespace torii::trainer {

absl::StatusOr<std::unique_ptr<ModelTables>> ModelTables::Create(
    comm::Communicator& comm, std::span<const model::TableShape> tables,
    const sharding::TableConfig& config, uint64_t seed) {
  std::unique_ptr<ModelTables> result(new ModelTables);
  std::map<int64_t, std::vector<sharding::TableSpec>> specs;  // by width
  for (const model::TableShape& table : tables) {
    specs[table.dim].push_back({table.name, table.rows});
  }
  std::map<int64_t, int> group_of_dim;
  for (auto& [dim, members] : specs) {
    group_of_dim[dim] = static_cast<int>(result->groups_.size());
    TORII_ASSIGN_OR_RETURN(
        result->groups_.emplace_back(),
        sharding::TableGroup::Create(comm, std::move(members), dim, config, seed));
  }
  std::vector<int> created(result->groups_.size(), 0);  // tables of each group so far
  for (const model::TableShape& table : tables) {
    const int group = group_of_dim.at(table.dim);
    const auto g = static_cast<size_t>(group);
    result->places_.push_back({group, result->groups_[g]->Key(created[g]++, 0)});
  }
  return result;
}

absl::StatusOr<PassLookups> ModelTables::LookUp(const PassPlan& plan,
                                                std::span<const std::vector<int64_t>> keys) {
  PassLookups result{&plan, {}};
  for (size_t l = 0; l < plan.lookups.size(); ++l) {
    const PlannedLookup& planned = plan.lookups[l];
    sharding::TableGroup& group = *groups_[static_cast<size_t>(planned.group)];
    TORII_ASSIGN_OR_RETURN(result.lookups.emplace_back(),
                           planned.owned ? group.FindOwned(keys[l]) : group.Find(keys[l]));
  }
  return result;
}

absl::Status ModelTables::Update(std::span<const PassLookups* const> passes,
                                 double learning_rate_factor, int64_t step) {
  const TraceSpan span("table update");
  for (size_t g = 0; g < groups_.size(); ++g) {
    std::vector<const sharding::Lookup*> lookups;
    for (const PassLookups* pass : passes) {
      for (size_t l = 0; l < pass->lookups.size(); ++l) {
        if (pass->plan->lookups[l].group == static_cast<int>(g)) {
          lookups.push_back(&pass->lookups[l]);
        }
      }
    }
    TORII_RETURN_IF_ERROR(groups_[g]->Update(lookups, learning_rate_factor, step));
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

int64_t ModelTables::bytes() const {
  int64_t bytes = 0;
  for (const auto& group : groups_) bytes += group->bytes();
  return bytes;
}

}  // namespace torii::trainer
