// The embedding tables of a model on one rank: which group serves each table, the lookups of a
// pass, the update after a step.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "model/model_plan.h"
#include "sharding/plan.h"
#include "sharding/sharding.pb.h"
#include "sharding/table_group.h"
#include "trainer/step/pass_plan.h"

namespace torii::trainer {

// What a model wants of its tables, in the order of plan.tables. defaults, overrides: as in
// sharding/table_config.h. rows_per_rank: of a step. An override of a table that the model lacks is
// kConfig.
absl::StatusOr<std::vector<sharding::TableNeed>> TableNeedsOf(
    const model::ModelPlan& plan, const sharding::TableConfig& defaults,
    std::span<const sharding::TableConfig> overrides, int64_t rows_per_rank);

// The plans of the lookups of one pass.
struct PassRoutes {
  const PassPlan* plan = nullptr;
  std::vector<sharding::Route> routes;
};

// The lookups of one pass and which group each is of.
struct PassLookups {
  const PassPlan* plan = nullptr;
  std::vector<sharding::Lookup> lookups;
};

class ModelTables {
 public:
  // Places the tables (sharding/plan.h). Tables of one width and one kind of partition share a
  // group: one exchange serves them all. Not collective.
  static absl::StatusOr<std::unique_ptr<ModelTables>> Create(int rank, int world_size,
                                                             std::vector<sharding::TableNeed> needs,
                                                             uint64_t seed,
                                                             const kernels::Device& device);

  // Where each table lies, in the order given to Create.
  std::span<const TablePlace> places() const { return places_; }
  // How many groups there are, each with an update plan of its own.
  size_t num_groups() const { return groups_.size(); }

  // keys[l]: what lookup l of the plan asks. Needs no weights. Collective.
  absl::StatusOr<PassRoutes> PlanLookups(comm::Communicator& comm, const PassPlan& plan,
                                         std::span<const std::vector<int64_t>> keys);
  // Fetches the rows. Collective.
  absl::StatusOr<PassLookups> Fetch(comm::Communicator& comm, PassRoutes routes);
  // Plans the update after a step whose passes are those of `passes`; the same on all ranks. Needs
  // no weights. plans: one for each group; their memory is used again. Collective.
  absl::Status PlanUpdate(comm::Communicator& comm, std::span<const PassRoutes* const> passes,
                          std::vector<sharding::UpdatePlan>* plans);
  // After backward: sends the row gradients of the passes home and updates the tables. passes:
  // those of the plan, in its order. Collective.
  absl::Status Update(comm::Communicator& comm, std::vector<sharding::UpdatePlan>& plans,
                      std::span<const PassLookups* const> passes, double learning_rate_factor,
                      int64_t step);
  // Plan and update at once, for passes that are here already. Collective.
  absl::Status PlanAndUpdate(comm::Communicator& comm, std::span<const PassLookups* const> passes,
                             double learning_rate_factor, int64_t step);

  // State of all tables of this rank (names are unique).
  std::vector<sharding::TableState> State();
  // The table of placements, for the start of the log.
  std::vector<std::string> Description() const;
  // Bytes of weights and optimizer state on this rank.
  int64_t bytes() const;

 private:
  std::vector<sharding::TableNeed> needs_;
  std::vector<sharding::PlacedTable> placed_;
  std::vector<std::unique_ptr<sharding::TableGroup>> groups_;
  std::vector<TablePlace> places_;
  std::vector<sharding::UpdatePlan> plans_;  // of PlanAndUpdate; kept for their memory
};

}  // namespace torii::trainer
