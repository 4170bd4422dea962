#include "sharding/table_group.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "base/int64_tensor.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "sharding/distinct_rows.h"
#include "sharding/table_shard.h"

namespace torii::sharding {
namespace {

constexpr int64_t kMaxSlots = int64_t{1} << 32;

absl::Status Check(const std::vector<TableSpec>& specs, int64_t dim, const TableConfig& config) {
  std::vector<std::string> errors = Validate(config);
  if (dim < 1) errors.push_back(absl::StrCat("the width of the rows is ", dim, ": at least 1"));
  std::set<std::string> names;
  for (const TableSpec& spec : specs) {
    if (spec.rows < 1) {
      errors.push_back(
          absl::StrCat("table '", spec.name, "' has ", spec.rows, " rows: at least 1"));
    }
    if (!names.insert(spec.name).second) {
      errors.push_back(absl::StrCat("two tables are called '", spec.name, "'"));
    }
  }
  if (errors.empty()) return absl::OkStatus();
  return ConfigError(absl::StrCat("embedding tables: ", absl::StrJoin(errors, "; ")));
}

// Int64 values as a tensor over the same memory.
at::Tensor ViewOf(const std::vector<int64_t>& values) {
  return at::from_blob(const_cast<int64_t*>(values.data()), {static_cast<int64_t>(values.size())},
                       at::kLong);
}

bool HasGradient(const Lookup& lookup) { return lookup.rows.grad().defined(); }

}  // namespace

// The members of a TableGroup.
struct TableGroup::Shard {
  Shard(comm::Communicator& communicator, std::vector<TableSpec> table_specs,
        std::vector<int64_t> first_keys, const TableConfig& config, int64_t dim)
      : comm(communicator),
        rank(communicator.rank()),
        world_size(communicator.world_size()),
        specs(std::move(table_specs)),
        first_key(std::move(first_keys)),
        rows(config, first_key.back() / world_size, dim) {}

  void CheckKeys(std::span<const int64_t> keys) const;
  // Distinct keys of `keys`, grouped by owner, checked; fills lookup->index.
  void FindKeys(std::span<const int64_t> keys, Lookup* lookup);
  // Ranks whose lookup l has a gradient: [lookup][rank].
  absl::StatusOr<std::vector<std::vector<bool>>> WhoSends(std::span<const Lookup* const> lookups);
  absl::StatusOr<at::Tensor> SendHome(const Lookup& lookup, const std::vector<bool>& sends);

  comm::Communicator& comm;
  const int rank, world_size;
  const std::vector<TableSpec> specs;
  // [tables + 1] key of row 0 of each table, a multiple of W, so that key mod W is the owner and
  // key div W the slot.
  const std::vector<int64_t> first_key;
  TableShard rows;
  DistinctFinder distinct;
  TouchedRows touched;
};

TableGroup::TableGroup(std::unique_ptr<Shard> shard) : shard_(std::move(shard)) {}
TableGroup::~TableGroup() = default;

absl::StatusOr<std::unique_ptr<TableGroup>> TableGroup::Create(comm::Communicator& comm,
                                                               std::vector<TableSpec> specs,
                                                               int64_t dim,
                                                               const TableConfig& config,
                                                               uint64_t seed) {
  TORII_RETURN_IF_ERROR(Check(specs, dim, config));
  const int64_t world_size = comm.world_size();
  std::vector<int64_t> first_key = {0};
  for (const TableSpec& spec : specs) {
    first_key.push_back(first_key.back() + (spec.rows + world_size - 1) / world_size * world_size);
  }
  if (first_key.back() / world_size > kMaxSlots) {
    return ConfigError(absl::StrCat("embedding tables of width ", dim, " have ", first_key.back(),
                                    " rows, more than 2^32 for each of ", world_size,
                                    " ranks: use more ranks"));
  }
  auto shard = std::make_unique<Shard>(comm, std::move(specs), std::move(first_key), config, dim);
  for (size_t t = 0; t < shard->specs.size(); ++t) {
    shard->rows.Initialise(shard->specs[t].name, seed, shard->specs[t].rows, comm.rank(),
                           world_size, shard->first_key[t] / world_size);
  }
  return std::unique_ptr<TableGroup>(new TableGroup(std::move(shard)));
}

int64_t TableGroup::dim() const { return shard_->rows.dim(); }

int64_t TableGroup::Key(int table, int64_t row) const {
  const auto t = static_cast<size_t>(table);
  TORII_CHECK(table >= 0 && t < shard_->specs.size(), "table ", table, " of ",
              shard_->specs.size());
  TORII_CHECK(row >= 0 && row < shard_->specs[t].rows, "row ", row, " of table '",
              shard_->specs[t].name, "', which has ", shard_->specs[t].rows);
  return shard_->first_key[t] + row;
}

// Every key is that of a row. The keys behind a table that fill up its last slot are not.
void TableGroup::Shard::CheckKeys(std::span<const int64_t> keys) const {
  for (const int64_t key : keys) {
    TORII_CHECK(key >= 0 && key < first_key.back(), "key ", key, " of a key space of ",
                first_key.back());
    if (world_size == 1) continue;
    const auto next = std::upper_bound(first_key.begin(), first_key.end(), key);
    const auto table = static_cast<size_t>(next - first_key.begin()) - 1;
    TORII_CHECK(key - first_key[table] < specs[table].rows, "key ", key, " is row ",
                key - first_key[table], " of table '", specs[table].name, "', which has ",
                specs[table].rows);
  }
}

void TableGroup::Shard::FindKeys(std::span<const int64_t> keys, Lookup* lookup) {
  lookup->index = at::empty({std::ssize(keys)}, at::kLong);
  distinct.Find(keys, world_size, {lookup->index.data_ptr<int64_t>(), keys.size()});
  CheckKeys(distinct.keys());
}

absl::StatusOr<Lookup> TableGroup::Find(std::span<const int64_t> keys) {
  Shard& shard = *shard_;
  Lookup lookup;
  Route& route = lookup.route;
  shard.FindKeys(keys, &lookup);
  if (shard.world_size == 1) {
    route.owned_only = true;
    route.served = shard.distinct.keys();
    lookup.rows = shard.rows.Gather(route.served);
    lookup.rows.requires_grad_(c10::GradMode::is_enabled());
    return lookup;
  }

  // Ask each owner for its slots.
  route.send_rows = shard.distinct.per_owner();
  TORII_ASSIGN_OR_RETURN(route.recv_rows,
                         comm::ExchangeCounts(shard.comm.control(), route.send_rows));
  std::vector<int64_t> slots(shard.distinct.keys().size());
  for (size_t k = 0; k < slots.size(); ++k) {
    slots[k] = RowSlot(shard.distinct.keys()[k], shard.world_size);
  }
  TORII_ASSIGN_OR_RETURN(const at::Tensor served,
                         shard.comm.AllToAllV(ViewOf(slots), route.send_rows, route.recv_rows));
  route.served = VectorOf(served);

  // Answer with the rows.
  const at::Tensor answer = shard.rows.Gather(route.served);
  TORII_ASSIGN_OR_RETURN(lookup.rows,
                         shard.comm.AllToAllV(answer, route.recv_rows, route.send_rows));
  lookup.rows.requires_grad_(c10::GradMode::is_enabled());
  return lookup;
}

absl::StatusOr<Lookup> TableGroup::FindOwned(std::span<const int64_t> keys) {
  Shard& shard = *shard_;
  shard.CheckKeys(keys);
  Lookup lookup;
  lookup.route.owned_only = true;
  lookup.index = at::empty({std::ssize(keys)}, at::kLong);
  std::iota(lookup.index.data_ptr<int64_t>(), lookup.index.data_ptr<int64_t>() + keys.size(), 0);
  std::vector<int64_t>& slots = lookup.route.served;
  slots.assign(keys.begin(), keys.end());
  if (shard.world_size > 1) {
    for (int64_t& slot : slots) {
      TORII_CHECK(RowOwner(slot, shard.world_size) == shard.rank, "key ", slot, " on rank ",
                  shard.rank, " belongs to rank ", RowOwner(slot, shard.world_size));
      slot = RowSlot(slot, shard.world_size);
    }
  }
  lookup.rows = shard.rows.Gather(slots);
  lookup.rows.requires_grad_(c10::GradMode::is_enabled());
  return lookup;
}

absl::StatusOr<std::vector<std::vector<bool>>> TableGroup::Shard::WhoSends(
    std::span<const Lookup* const> lookups) {
  std::vector<std::vector<bool>> sends(lookups.size());
  std::vector<size_t> exchanged;
  for (size_t l = 0; l < lookups.size(); ++l) {
    sends[l].assign(static_cast<size_t>(world_size), false);
    sends[l][static_cast<size_t>(rank)] = HasGradient(*lookups[l]);
    if (!lookups[l]->route.owned_only) exchanged.push_back(l);
  }
  if (exchanged.empty()) return sends;

  std::vector<uint8_t> mine;
  for (const size_t l : exchanged) mine.push_back(HasGradient(*lookups[l]) ? 1 : 0);
  TORII_ASSIGN_OR_RETURN(const std::vector<uint8_t> all,
                         comm::AllGatherValues(comm.control(), std::span<const uint8_t>(mine)));
  for (size_t r = 0; r < static_cast<size_t>(world_size); ++r) {
    for (size_t e = 0; e < exchanged.size(); ++e) {
      sends[exchanged[e]][r] = all[r * exchanged.size() + e] != 0;
    }
  }
  return sends;
}

// The gradients of a lookup at the owners of the rows: those that the ranks in `sends` have for the
// slots that this rank served them, in rank order.
absl::StatusOr<at::Tensor> TableGroup::Shard::SendHome(const Lookup& lookup,
                                                       const std::vector<bool>& sends) {
  const Route& route = lookup.route;
  const bool i_send = sends[static_cast<size_t>(rank)];
  const std::vector<int64_t> nothing(route.send_rows.size(), 0);
  std::vector<int64_t> recv_rows = route.recv_rows;
  for (size_t r = 0; r < sends.size(); ++r) {
    if (!sends[r]) recv_rows[r] = 0;
  }
  const at::Tensor mine =
      i_send ? lookup.rows.grad().contiguous() : at::empty({0, rows.dim()}, at::kFloat);
  return comm.AllToAllV(mine, i_send ? route.send_rows : nothing, recv_rows);
}

absl::Status TableGroup::Update(std::span<const Lookup* const> lookups, double learning_rate_factor,
                                int64_t step) {
  Shard& shard = *shard_;
  TORII_ASSIGN_OR_RETURN(const auto sends, shard.WhoSends(lookups));
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients(lookups.size());  // at the owner
  for (size_t l = 0; l < lookups.size(); ++l) {
    const Lookup& lookup = *lookups[l];
    if (lookup.route.owned_only) {
      if (HasGradient(lookup)) gradients[l] = lookup.rows.grad().contiguous();
    } else if (std::find(sends[l].begin(), sends[l].end(), true) != sends[l].end()) {
      TORII_ASSIGN_OR_RETURN(gradients[l], shard.SendHome(lookup, sends[l]));
    }
  }

  // All gradients of a row are summed in the order (rank, lookup, position).
  shard.touched.Clear();
  std::vector<int64_t> slot(lookups.size(), 0), row(lookups.size(), 0);  // read so far
  for (int r = 0; r < shard.world_size; ++r) {
    for (size_t l = 0; l < lookups.size(); ++l) {
      const Route& route = lookups[l]->route;
      if (route.owned_only && r != shard.rank) continue;
      const auto from = static_cast<size_t>(r);
      const int64_t count =
          route.owned_only ? static_cast<int64_t>(route.served.size()) : route.recv_rows[from];
      if (sends[l][from]) {
        const std::span<const int64_t> served(route.served);
        shard.touched.Add(served.subspan(static_cast<size_t>(slot[l]), static_cast<size_t>(count)),
                          gradients[l].data_ptr<float>() + row[l] * shard.rows.dim(),
                          shard.rows.dim());
        row[l] += count;
      }
      slot[l] += count;
    }
  }
  shard.touched.Group(shard.rows.slots());
  shard.rows.Update(shard.touched, learning_rate_factor, step);
  return absl::OkStatus();
}

std::vector<TableState> TableGroup::State() {
  const Shard& shard = *shard_;
  std::vector<TableState> states;
  for (size_t t = 0; t < shard.specs.size(); ++t) {
    const TableSpec& spec = shard.specs[t];
    for (const TableShard::Part& part : shard.rows.parts()) {
      states.push_back({absl::StrCat(spec.name, ".", part.suffix), spec.rows,
                        part.tensor.narrow(0, shard.first_key[t] / shard.world_size,
                                           OwnedRows(spec.rows, shard.rank, shard.world_size))});
    }
  }
  return states;
}

int64_t TableGroup::bytes() const {
  int64_t bytes = 0;
  for (const TableShard::Part& part : shard_->rows.parts()) {
    bytes += static_cast<int64_t>(part.tensor.nbytes());
  }
  return bytes;
}

}  // namespace torii::sharding
