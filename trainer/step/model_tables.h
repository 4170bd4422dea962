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
#include "kernels/update_gate.h"
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

// The rows of a pass, whose gradients an update sends home.
struct FetchedPass {
  const PassPlan* plan = nullptr;
  std::vector<at::Tensor> rows;  // [lookups] leaves
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

  // From the keys of a plan to its routes. Collective.
  absl::Status PlanLookups(comm::Communicator& comm, PassPlan* plan);
  // The rows of a plan. Collective.
  absl::StatusOr<FetchedPass> Fetch(comm::Communicator& comm, const PassPlan& plan);
  // Plans the update after a step of these passes, which are the same ones on all ranks and are
  // borrowed. updates: one for each group; their memory is used again. Collective.
  absl::Status PlanUpdate(comm::Communicator& comm, std::span<const PassPlan* const> passes,
                          std::vector<sharding::UpdatePlan>* updates);
  // After backward: sends the row gradients home and updates the tables. passes: those of the plan,
  // in its order. Collective.
  absl::Status Update(comm::Communicator& comm, std::vector<sharding::UpdatePlan>& updates,
                      std::span<const FetchedPass* const> passes,
                      const kernels::UpdateTerms& terms);

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
};

}  // namespace torii::trainer
