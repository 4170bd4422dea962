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
#include "sharding/sharding.pb.h"
#include "sharding/table_group.h"
#include "trainer/pass_plan.h"

namespace torii::trainer {

// The lookups of one pass and which group each is of.
struct PassLookups {
  const PassPlan* plan = nullptr;
  std::vector<sharding::Lookup> lookups;
};

class ModelTables {
 public:
  // Tables of one width share a group: one exchange serves them all. Borrows comm. Not collective.
  static absl::StatusOr<std::unique_ptr<ModelTables>> Create(
      comm::Communicator& comm, std::span<const model::TableShape> tables,
      const sharding::TableConfig& config, uint64_t seed);

  // Where each table lies, in the order given to Create.
  std::span<const TablePlace> places() const { return places_; }
  // keys[l]: what lookup l of the plan asks. Collective.
  absl::StatusOr<PassLookups> LookUp(const PassPlan& plan,
                                     std::span<const std::vector<int64_t>> keys);
  // After backward: sends the row gradients of the passes home and updates the tables. Collective.
  absl::Status Update(std::span<const PassLookups* const> passes, double learning_rate_factor,
                      int64_t step);

  // State of all tables of this rank (names are unique).
  std::vector<sharding::TableState> State();
  // Bytes of weights and optimizer state on this rank.
  int64_t bytes() const;

 private:
  std::vector<std::unique_ptr<sharding::TableGroup>> groups_;
  std::vector<TablePlace> places_;
};

}  // namespace torii::trainer
