// Embedding tables of one width and one kind of partition, with their optimizer state beside the
// rows. Several tables share one key space, so that a step needs one exchange for all.
//
// A lookup falls into a plan, which ids alone decide, and the fetch of the rows; an update
// likewise. The plan of a step may be made while another step computes: it may use another
// communicator.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "base/partition.h"
#include "comm/communicator.h"
#include "kernels/device.h"
#include "kernels/update_gate.h"
#include "sharding/route.h"
#include "sharding/sharding.pb.h"
#include "sharding/table_keys.h"
#include "sharding/update_plan.h"

namespace torii::sharding {

struct TableSpec {
  std::string name;
  int64_t rows = 0;
  TableConfig config;  // `placement` is the group's kind; nothing here reads it
};

// A piece of a table's state on this rank, for checkpoints: row i of `tensor` belongs to table row
// partition.Row(rank, i).
struct TableState {
  std::string name;     // "item_id.weight", "item_id.adagrad", "item_id.adam.m", ...
  Partition partition;  // of the whole table
  at::Tensor tensor;    // [held rows, width] float32, a view of the live state, not contiguous
};

class TableGroup {
 public:
  // Rows start as normal(0, init_stddev), a pure function of (seed, table name, row): not of W, nor
  // of the partition. Tables of one optimizer should stand side by side in `specs`. Every violated
  // rule of `specs` is named (kConfig). Not collective.
  static absl::StatusOr<std::unique_ptr<TableGroup>> Create(int rank, int world_size,
                                                            std::vector<TableSpec> specs,
                                                            int64_t dim, Partition::Kind kind,
                                                            uint64_t seed,
                                                            const kernels::Device& device);
  ~TableGroup();

  int64_t dim() const;
  // Which key asks which row; stays where it is as long as the group.
  const TableKeys& keys() const;

  // The plan of a lookup of `keys` (any order, repeats allowed, may be empty) that fetches each
  // distinct row once, ordered by (owner, first use). Collective unless the tables are replicated:
  // the counts and the ids are exchanged.
  absl::StatusOr<Route> PlanLookup(comm::Communicator& comm, std::span<const int64_t> keys);
  // The plan of a lookup of keys that this rank owns, one row for each key, in their order (index
  // 0, 1, 2, ...). Repeats are allowed; each has its own gradient. Not for replicated tables.
  // Local.
  Route PlanOwned(std::span<const int64_t> keys);
  // The rows of a plan: [rows, dim] float32, a leaf that collects gradients. Collective unless the
  // route is local.
  absl::StatusOr<at::Tensor> Fetch(comm::Communicator& comm, const Route& route);

  // Plans the update after a step in which the rows of `routes` collect gradients: all ranks pass
  // the same lookups in the same order. The plan borrows the routes. Local, but for replicated
  // tables on several ranks: there each rank learns what all ranks touch.
  absl::Status PlanUpdate(comm::Communicator& comm, std::span<const Route* const> routes,
                          UpdatePlan* plan);
  // Sums the gradients of each touched row in the order (rank, lookup, position in the lookup) and
  // updates the row once: at its owner or, replicated, on every rank, with the same bits. fetched:
  // what Fetch gave for each route of the plan, in its order. A row of a planned lookup is touched
  // even if its gradient is zero; rows that got no gradient at all count as zeros (so that Adam's
  // moments and the weight decay of a row do not depend on which rank asked it): a pass that is not
  // trained does not belong into the plan. Collective, but for routes that are all local in a group
  // that is not replicated.
  absl::Status Update(comm::Communicator& comm, UpdatePlan& plan,
                      std::span<const at::Tensor> fetched, const kernels::UpdateTerms& terms);

  // Live views of the state of all tables of the group.
  std::vector<TableState> State();
  // Bytes of weights and state on this rank.
  int64_t bytes() const;

 private:
  struct Members;
  explicit TableGroup(std::unique_ptr<Members> members);
  std::unique_ptr<Members> members_;
};

}  // namespace torii::sharding
