// A table group in one call, and lookups and updates whose plan is made where they are asked.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "base/status_macros.h"
#include "comm/communicator.h"
#include "sharding/table_group.h"

namespace torii::sharding {

// Tables that share a configuration, for the rank of `comm`.
inline absl::StatusOr<std::unique_ptr<TableGroup>> MakeGroup(
    const comm::Communicator& comm, const std::vector<TableKeys::Table>& tables, int64_t dim,
    const TableConfig& config, uint64_t seed,
    Partition::Kind kind = Partition::Kind::kRowModWorld) {
  std::vector<TableSpec> specs;
  for (const TableKeys::Table& table : tables) specs.push_back({table.name, table.rows, config});
  return TableGroup::Create(comm.rank(), comm.world_size(), std::move(specs), dim, kind, seed,
                            kernels::Device::Cpu());
}

// Fetched rows and their plan.
struct Lookup {
  at::Tensor rows;
  Route route;
};

inline absl::StatusOr<Lookup> Find(TableGroup& group, comm::Communicator& comm,
                                   std::span<const int64_t> keys) {
  Lookup lookup;
  TORII_ASSIGN_OR_RETURN(lookup.route, group.PlanLookup(comm, keys));
  TORII_ASSIGN_OR_RETURN(lookup.rows, group.Fetch(comm, lookup.route));
  return lookup;
}

inline absl::StatusOr<Lookup> FindOwned(TableGroup& group, comm::Communicator& comm,
                                        std::span<const int64_t> keys) {
  Lookup lookup{{}, group.PlanOwned(keys)};
  TORII_ASSIGN_OR_RETURN(lookup.rows, group.Fetch(comm, lookup.route));
  return lookup;
}

inline absl::Status Update(TableGroup& group, comm::Communicator& comm,
                           const std::vector<const Lookup*>& lookups, double factor, int64_t step) {
  std::vector<const Route*> routes;
  std::vector<at::Tensor> rows;
  for (const Lookup* lookup : lookups) {
    routes.push_back(&lookup->route);
    rows.push_back(lookup->rows);
  }
  UpdatePlan plan;
  TORII_RETURN_IF_ERROR(group.PlanUpdate(comm, routes, &plan));
  return group.Update(comm, plan, rows, {factor, step});
}

}  // namespace torii::sharding
