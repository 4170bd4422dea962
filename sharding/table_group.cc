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
#include "base/status_macros.h"
#include "kernels/host_tensors.h"
#include "sharding/distinct_rows.h"
#include "sharding/table_config.h"
#include "sharding/table_shard.h"

namespace torii::sharding {
namespace {

constexpr int64_t kMaxSlots = int64_t{1} << 32;

absl::Status Check(const std::vector<TableSpec>& specs, int64_t dim) {
  std::vector<std::string> errors;
  if (dim < 1) errors.push_back(absl::StrCat("the width of the rows is ", dim, ": at least 1"));
  if (specs.empty()) errors.emplace_back("there is no table");
  std::set<std::string> names;
  for (const TableSpec& spec : specs) {
    const ConfigRules rules;
    Validate(spec.config, rules);
    for (const BrokenRule& rule : rules.broken()) {
      errors.push_back(absl::StrCat("table '", spec.name, "': ", rule.Text()));
    }
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

TableKeys KeysOf(const std::vector<TableSpec>& specs, Partition::Kind kind, int world_size) {
  std::vector<TableKeys::Table> tables;
  for (const TableSpec& spec : specs) tables.push_back({spec.name, spec.rows});
  return TableKeys(std::move(tables), kind, world_size);
}

// The gradients of fetched rows [rows, dim], contiguous.
at::Tensor GradientOf(const at::Tensor& fetched) {
  const at::Tensor& gradient = fetched.grad();
  return gradient.defined() ? gradient.contiguous() : at::zeros_like(fetched.detach());
}

}  // namespace

struct TableGroup::Members {
  // Tables side by side with the same optimizer, and the first slot of the first of them.
  struct Shard {
    int first_table;
    int64_t first_slot;
    TableShard rows;
  };
  Members(int my_rank, int size, std::vector<TableSpec> table_specs, int64_t width,
          Partition::Kind kind, const kernels::Device& of)
      : device(of),
        rank(my_rank),
        world_size(size),
        dim(width),
        specs(std::move(table_specs)),
        keys(KeysOf(specs, kind, size)),
        buffers(of) {}

  void MakeShards(uint64_t seed);
  const Shard& ShardOf(int table) const;
  bool shares_gradients() const {
    return keys.kind() == Partition::Kind::kReplicated && world_size > 1;
  }
  // Fills in what is asked of this rank.
  void Serve(kernels::PlannedList<int64_t> served, Route* route) const;
  at::Tensor Gather(const Route& route);
  absl::Status PlanReplicated(comm::Communicator& comm, std::span<const Route* const> routes,
                              UpdatePlan* plan);
  void PlanSharded(std::span<const Route* const> routes, UpdatePlan* plan) const;
  // The gradients of all lookups at the owner, one tensor for each `lookup` of the plan's pieces.
  absl::StatusOr<std::vector<at::Tensor>> SendHome(comm::Communicator& comm, const UpdatePlan& plan,
                                                   std::span<const at::Tensor> fetched) const;

  const kernels::Device device;
  const int rank, world_size;
  const int64_t dim;
  const std::vector<TableSpec> specs;
  const TableKeys keys;
  std::vector<Shard> shards;
  DistinctFinder distinct;
  RowBuffers buffers;
};

void TableGroup::Members::MakeShards(uint64_t seed) {
  for (size_t t = 0; t < specs.size();) {
    const auto first = static_cast<int>(t);
    std::vector<TableShard::Table> tables;
    const TableConfig::Optimizer optimizer = specs[t].config.optimizer();
    for (; t < specs.size() && specs[t].config.optimizer() == optimizer; ++t) {
      const int64_t slots =
          keys.first_slot(static_cast<int>(t) + 1) - keys.first_slot(static_cast<int>(t));
      tables.push_back({specs[t].config, slots});
    }
    const auto count = static_cast<int>(tables.size());
    Shard& shard = shards.emplace_back(
        Shard{first, keys.first_slot(first), TableShard(std::move(tables), dim, device)});
    for (int i = 0; i < count; ++i) {
      shard.rows.Initialise(i, specs[static_cast<size_t>(first + i)].name, seed,
                            keys.partition(first + i), rank);
    }
  }
}

const TableGroup::Members::Shard& TableGroup::Members::ShardOf(int table) const {
  const auto behind =
      std::upper_bound(shards.begin(), shards.end(), table,
                       [](int wanted, const Shard& shard) { return wanted < shard.first_table; });
  return *(behind - 1);
}

void TableGroup::Members::Serve(kernels::PlannedList<int64_t> served, Route* route) const {
  route->served = std::move(served);
  if (shards.size() == 1) return;
  const std::span<const int64_t> slots = route->served.values();
  std::vector<int64_t> local, places;
  for (size_t s = 0; s < shards.size(); ++s) {
    local.clear();
    places.clear();
    for (size_t i = 0; i < slots.size(); ++i) {
      const int64_t slot = slots[i] - shards[s].first_slot;
      if (slot < 0 || slot >= shards[s].rows.slots()) continue;
      local.push_back(slot);
      places.push_back(static_cast<int64_t>(i));
    }
    if (local.empty()) continue;
    route->shards.push_back(
        {static_cast<int>(s), kernels::TensorOf(local, device), kernels::TensorOf(places, device)});
  }
}

// [served, dim] copies of the rows that were asked of this rank.
at::Tensor TableGroup::Members::Gather(const Route& route) {
  if (shards.size() == 1) return shards[0].rows.Gather(route.served.tensor());
  const at::Tensor out = buffers.Take(route.served.size(), dim);
  for (const ShardRows& rows : route.shards) {
    out.index_copy_(0, rows.places,
                    shards[static_cast<size_t>(rows.shard)].rows.Gather(rows.slots));
  }
  return out;
}

TableGroup::TableGroup(std::unique_ptr<Members> members) : members_(std::move(members)) {}
TableGroup::~TableGroup() = default;

absl::StatusOr<std::unique_ptr<TableGroup>> TableGroup::Create(int rank, int world_size,
                                                               std::vector<TableSpec> specs,
                                                               int64_t dim, Partition::Kind kind,
                                                               uint64_t seed,
                                                               const kernels::Device& device) {
  TORII_RETURN_IF_ERROR(Check(specs, dim));
  auto members = std::make_unique<Members>(rank, world_size, std::move(specs), dim, kind, device);
  if (members->keys.slots() > kMaxSlots) {
    return ConfigError(absl::StrCat("embedding tables of width ", dim, " have ",
                                    members->keys.slots(), " rows on each of ", world_size,
                                    " ranks, more than 2^32: use more ranks"));
  }
  members->MakeShards(seed);
  return std::unique_ptr<TableGroup>(new TableGroup(std::move(members)));
}

int64_t TableGroup::dim() const { return members_->dim; }
const TableKeys& TableGroup::keys() const { return members_->keys; }

absl::StatusOr<Route> TableGroup::PlanLookup(comm::Communicator& comm,
                                             std::span<const int64_t> keys) {
  Members& m = *members_;
  const int owners = m.keys.owners();
  Route route;
  kernels::FilledTensor<int64_t> index(std::ssize(keys), m.device);
  m.distinct.Find(keys, owners, index.values());
  route.index = index.take();
  m.keys.CheckKeys(m.distinct.keys());
  const std::vector<int64_t>& distinct = m.distinct.keys();
  if (owners == 1) {  // the keys are slots
    kernels::FilledTensor<int64_t> slots(std::ssize(distinct), m.device);
    std::copy(distinct.begin(), distinct.end(), slots.values().begin());
    m.Serve(slots.take_list(), &route);
    route.is_local = true;
    return route;
  }
  kernels::FilledTensor<int64_t> slots(std::ssize(distinct));
  std::transform(distinct.begin(), distinct.end(), slots.values().begin(),
                 [owners](int64_t key) { return SlotOfKey(key, owners); });
  route.send_rows = m.distinct.per_owner();
  TORII_ASSIGN_OR_RETURN(route.recv_rows, comm::ExchangeCounts(comm.control(), route.send_rows));
  TORII_ASSIGN_OR_RETURN(at::Tensor served,
                         comm.AllToAllV(slots.take(), route.send_rows, route.recv_rows));
  m.Serve({std::move(served), m.device}, &route);
  return route;
}

Route TableGroup::PlanOwned(std::span<const int64_t> keys) {
  const Members& m = *members_;
  TORII_CHECK(!m.shares_gradients(), "each rank holds the rows of replicated tables");
  m.keys.CheckKeys(keys);
  Route route;
  route.is_local = true;
  route.one_row_each = true;
  kernels::FilledTensor<int64_t> index(std::ssize(keys), m.device);
  std::iota(index.values().begin(), index.values().end(), 0);
  route.index = index.take();
  kernels::FilledTensor<int64_t> slots(std::ssize(keys), m.device);
  std::transform(keys.begin(), keys.end(), slots.values().begin(), [&m](int64_t key) {
    if (m.world_size == 1) return key;
    const int owner = OwnerOfKey(key, m.world_size);
    TORII_CHECK(owner == m.rank, "key ", key, " on rank ", m.rank, " belongs to rank ", owner);
    return SlotOfKey(key, m.world_size);
  });
  m.Serve(slots.take_list(), &route);
  return route;
}

absl::StatusOr<at::Tensor> TableGroup::Fetch(comm::Communicator& comm, const Route& route) {
  at::Tensor rows = members_->Gather(route);
  if (!route.is_local) {
    TORII_ASSIGN_OR_RETURN(rows, comm.AllToAllV(rows, route.recv_rows, route.send_rows));
  }
  rows.requires_grad_(c10::GradMode::is_enabled());
  return rows;
}

absl::Status TableGroup::PlanUpdate(comm::Communicator& comm, std::span<const Route* const> routes,
                                    UpdatePlan* plan) {
  plan->routes.assign(routes.begin(), routes.end());
  plan->touched.Clear();
  plan->pieces.clear();
  if (members_->shares_gradients()) {
    TORII_RETURN_IF_ERROR(members_->PlanReplicated(comm, routes, plan));
  } else {
    members_->PlanSharded(routes, plan);
  }
  plan->touched.Group(members_->keys.slots(), members_->device);
  return absl::OkStatus();
}

// What every rank asked of this one, in the order (rank, lookup, position).
void TableGroup::Members::PlanSharded(std::span<const Route* const> routes,
                                      UpdatePlan* plan) const {
  std::vector<int64_t> next(routes.size(), 0);  // row of each lookup's gradients
  for (int r = 0; r < world_size; ++r) {
    for (size_t l = 0; l < routes.size(); ++l) {
      const Route& route = *routes[l];
      if (route.is_local && r != rank) continue;
      const int64_t count =
          route.is_local ? route.served.size() : route.recv_rows[static_cast<size_t>(r)];
      if (count == 0) continue;
      plan->pieces.push_back({l, next[l]});
      plan->touched.Add(
          route.served.values().subspan(static_cast<size_t>(next[l]), static_cast<size_t>(count)));
      next[l] += count;
    }
  }
}

// What all ranks touch, in the same order on each. The gradients of a rank travel as one tensor,
// its lookups one behind the other.
absl::Status TableGroup::Members::PlanReplicated(comm::Communicator& comm,
                                                 std::span<const Route* const> routes,
                                                 UpdatePlan* plan) {
  std::vector<int64_t> mine;
  for (const Route* route : routes) {
    const std::span<const int64_t> served = route->served.values();
    mine.insert(mine.end(), served.begin(), served.end());
  }
  TORII_ASSIGN_OR_RETURN(plan->rank_rows,
                         comm::AllGatherValue<int64_t>(comm.control(), std::ssize(mine)));
  TORII_ASSIGN_OR_RETURN(const at::Tensor all,
                         comm.AllGatherV(kernels::ViewOf(mine), plan->rank_rows));
  plan->slots = kernels::ListOf<int64_t>(all);
  if (plan->slots.empty()) return absl::OkStatus();
  plan->pieces.push_back({0, 0});
  plan->touched.Add(plan->slots);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<at::Tensor>> TableGroup::Members::SendHome(
    comm::Communicator& comm, const UpdatePlan& plan, std::span<const at::Tensor> fetched) const {
  TORII_CHECK(fetched.size() == plan.routes.size(), "rows of ", fetched.size(), " lookups for ",
              plan.routes.size());
  std::vector<at::Tensor> home(fetched.size());
  for (size_t l = 0; l < fetched.size(); ++l) {
    const Route& route = *plan.routes[l];
    home[l] = GradientOf(fetched[l]);
    if (route.is_local) continue;
    TORII_ASSIGN_OR_RETURN(home[l], comm.AllToAllV(home[l], route.send_rows, route.recv_rows));
  }
  if (!shares_gradients()) return home;
  home.push_back(AllocateRows(0, dim, device));  // where there is no lookup
  TORII_ASSIGN_OR_RETURN(const at::Tensor all, comm.AllGatherV(at::cat(home), plan.rank_rows));
  return std::vector<at::Tensor>{all};
}

absl::Status TableGroup::Update(comm::Communicator& comm, UpdatePlan& plan,
                                std::span<const at::Tensor> fetched,
                                const kernels::UpdateTerms& terms) {
  Members& m = *members_;
  const c10::NoGradGuard no_grad;
  TORII_ASSIGN_OR_RETURN(const std::vector<at::Tensor> home, m.SendHome(comm, plan, fetched));
  std::vector<kernels::TouchedRows::Gradients> pieces;
  for (const UpdatePlan::Piece& piece : plan.pieces) {
    pieces.push_back({home[piece.lookup], piece.first_row});
  }
  const kernels::RowGradients gradients = plan.touched.GradientsOf(m.device, pieces);
  for (Members::Shard& shard : m.shards) {
    shard.rows.Update(gradients, shard.first_slot, terms);
  }
  return absl::OkStatus();
}

std::vector<TableState> TableGroup::State() {
  const Members& m = *members_;
  std::vector<TableState> states;
  for (size_t t = 0; t < m.specs.size(); ++t) {
    const auto table = static_cast<int>(t);
    const Members::Shard& shard = m.ShardOf(table);
    const Partition& partition = m.keys.partition(table);
    for (const TableShard::Part& part : shard.rows.parts()) {
      states.push_back({absl::StrCat(m.specs[t].name, ".", part.suffix), partition,
                        part.tensor.narrow(0, m.keys.first_slot(table) - shard.first_slot,
                                           partition.OwnedRows(m.rank))});
    }
  }
  return states;
}

int64_t TableGroup::bytes() const {
  int64_t bytes = 0;
  for (const Members::Shard& shard : members_->shards) {
    for (const TableShard::Part& part : shard.rows.parts()) {
      bytes += static_cast<int64_t>(part.tensor.nbytes());
    }
  }
  return bytes;
}

}  // namespace torii::sharding
