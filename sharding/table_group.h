// Embedding tables of one width, sharded by rows over the ranks: row r of a table lives on rank r
// mod W, with its optimizer state beside it. Several tables share one key space, so that a step
// needs one exchange for all.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "sharding/sharding.pb.h"

namespace torii::sharding {

std::vector<std::string> Validate(const TableConfig& config);

struct TableSpec {
  std::string name;
  int64_t rows = 0;
};

// Where the distinct rows of a lookup came from, and the way back for their gradients.
struct Route {
  std::vector<int64_t> send_rows;  // [W] distinct keys asked of each owner
  std::vector<int64_t> recv_rows;  // [W] keys each rank asked of me
  std::vector<int64_t> served;     // local slots of the keys asked of me, in rank order
  bool owned_only = false;         // no exchange: all keys are mine
};

// The result of a lookup: rows, and where each asked key stands among them.
struct Lookup {
  at::Tensor rows;   // [rows, dim] float32; a leaf that collects gradients
  at::Tensor index;  // [keys] int64 into rows
  Route route;
};

// A piece of a table's state on this rank, for checkpoints: row i of `tensor` belongs to table row
// rank + i * W.
struct TableState {
  std::string name;   // "item_id.weight", "item_id.adagrad", "item_id.adam.m", ...
  int64_t rows = 0;   // of the whole table
  at::Tensor tensor;  // [owned rows, width] float32, a view of the live state, not contiguous
};

class TableGroup {
 public:
  // Rows start as normal(0, init_stddev), a pure function of (seed, table name, row): not of W.
  // `comm` is borrowed. Not collective.
  static absl::StatusOr<std::unique_ptr<TableGroup>> Create(comm::Communicator& comm,
                                                            std::vector<TableSpec> specs,
                                                            int64_t dim, const TableConfig& config,
                                                            uint64_t seed);
  ~TableGroup();

  int64_t dim() const;
  // Key of row `row` of table number `table`: keys of one table keep the rows' order and owner.
  int64_t Key(int table, int64_t row) const;
  // Fetches the distinct rows of `keys` (any order, repeats allowed, may be empty), ordered by
  // (owner, first use). Collective: two all-to-alls, ids out and rows back.
  absl::StatusOr<Lookup> Find(std::span<const int64_t> keys);
  // The rows of keys that this rank owns, one for each key, in their order (index 0, 1, 2, ...):
  // local, not collective. Repeats are allowed; each has its own gradient.
  absl::StatusOr<Lookup> FindOwned(std::span<const int64_t> keys);
  // Sends the gradients of all lookups of this step to the owners, sums them per row in a fixed
  // order (rank, then lookup) and updates each touched row once. Lookups whose rows got no gradient
  // are skipped. All ranks pass the same lookups in the same order. learning_rate_factor: the
  // schedule's. step: global, from 0. Collective.
  absl::Status Update(std::span<const Lookup* const> lookups, double learning_rate_factor,
                      int64_t step);

  // Live views of the state of all tables of the group.
  std::vector<TableState> State();
  // Bytes of weights and state on this rank.
  int64_t bytes() const;

 private:
  struct Shard;
  explicit TableGroup(std::unique_ptr<Shard> shard);
  std::unique_ptr<Shard> shard_;
};

}  // namespace torii::sharding
