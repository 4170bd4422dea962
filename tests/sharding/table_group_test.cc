// Tables over W ranks against one rank.
#include "sharding/table_group.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "base/exit_code.h"
#include "base/partition.h"
#include "base/random.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "c10/core/GradMode.h"
#include "gtest/gtest.h"
#include "tests/sharding/group_support.h"
#include "tests/support/run_on_ranks.h"

namespace torii::sharding {
namespace {

constexpr int64_t kDim = 5;
constexpr int64_t kSteps = 5;
constexpr uint64_t kSeed = 11;

// Tables smaller than the world, of one row, and of a prime number of rows.
std::vector<TableKeys::Table> Specs() {
  return {{"small", 2}, {"item", 101}, {"one", 1}, {"user", 53}};
}

// One asked row and its gradient's number; the global list is cut over the ranks.
struct Asked {
  int table;
  int64_t row;
  uint64_t number;
};

std::vector<Asked> AskedInStep(int64_t step, uint64_t lookup) {
  const RandomStream stream(kSeed, "asked", static_cast<uint64_t>(2 * step) + lookup);
  const std::vector<TableKeys::Table> specs = Specs();
  std::vector<Asked> asked;
  for (uint64_t i = 0; i < 90; ++i) {
    const int table = static_cast<int>(stream.Below(3 * i, 4));
    const int64_t rows = specs[static_cast<size_t>(table)].rows;
    // Small rows are asked more often.
    const int64_t bound = 1 + stream.Below(3 * i + 1, rows);
    asked.push_back({table, stream.Below(3 * i + 2, bound), 1000 * lookup + i});
  }
  return asked;
}

void Backward(const Lookup& lookup, const std::vector<Asked>& asked, int64_t step) {
  const auto count = static_cast<int64_t>(asked.size());
  at::Tensor gradient = at::empty({count, kDim});
  const RandomStream stream(kSeed, "gradient", static_cast<uint64_t>(step));
  for (int64_t i = 0; i < count; ++i) {
    stream.NormalRow(asked[static_cast<size_t>(i)].number,
                     {gradient.data_ptr<float>() + i * kDim, static_cast<size_t>(kDim)});
  }
  if (count > 0) lookup.rows.index_select(0, lookup.route.index).backward(gradient);
}

// Rank `rank`'s part: at odd steps rank 0 asks nothing at all.
std::vector<Asked> PartOf(const std::vector<Asked>& all, int rank, int world_size, int64_t step) {
  Range range = SplitEvenly(static_cast<int64_t>(all.size()), world_size, rank);
  if (step % 2 == 1 && world_size > 1) {
    range = rank == 0 ? Range{}
                      : SplitEvenly(static_cast<int64_t>(all.size()), world_size - 1, rank - 1);
  }
  return {all.begin() + range.begin, all.begin() + range.end};
}

absl::StatusOr<Lookup> Ask(TableGroup& group, comm::Communicator& comm,
                           const std::vector<Asked>& asked, int64_t step) {
  std::vector<int64_t> keys;
  for (const Asked& a : asked) keys.push_back(group.keys().Key(a.table, a.row));
  TORII_ASSIGN_OR_RETURN(Lookup lookup, Find(group, comm, keys));
  Backward(lookup, asked, step);
  return lookup;
}

// The second lookup of a step: rows of table "item" that this rank owns.
absl::StatusOr<Lookup> AskOwned(TableGroup& group, comm::Communicator& comm, int64_t step) {
  std::vector<Asked> asked;
  for (const Asked& a : AskedInStep(step, 1)) {
    if (a.table == 1 && group.keys().partition(1).Owner(a.row) == comm.rank()) asked.push_back(a);
  }
  const bool replicated = group.keys().partition(1).is_replicated();
  if (replicated && comm.rank() != 0) asked.clear();
  std::vector<int64_t> keys;
  for (const Asked& a : asked) keys.push_back(group.keys().Key(a.table, a.row));
  TORII_ASSIGN_OR_RETURN(Lookup lookup,
                         replicated ? Find(group, comm, keys) : FindOwned(group, comm, keys));
  Backward(lookup, asked, step);
  return lookup;
}

// Whole tables, by the name of the state.
using Tables = std::map<std::string, at::Tensor>;

void Collect(TableGroup& group, const comm::Communicator& comm, Tables* tables) {
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  for (const TableState& state : group.State()) {
    at::Tensor& whole = (*tables)[state.name];
    const Partition& partition = state.partition;
    if (!whole.defined()) whole = at::full({partition.rows(), state.tensor.size(1)}, 1e9f);
    EXPECT_EQ(state.tensor.size(0), partition.OwnedRows(comm.rank()));
    for (int64_t i = 0; i < state.tensor.size(0); ++i) {
      at::Tensor row = whole[partition.Row(comm.rank(), i)];
      // Replicas have the same bits.
      if (partition.is_replicated() && row[0].item<float>() != 1e9f) {
        EXPECT_TRUE(at::equal(row, state.tensor[i])) << state.name << " on rank " << comm.rank();
      }
      row.copy_(state.tensor[i]);
    }
  }
}

constexpr Partition::Kind kKinds[] = {Partition::Kind::kRowModWorld, Partition::Kind::kBlocks,
                                      Partition::Kind::kReplicated};

Tables Train(int world_size, const TableConfig& config, int64_t steps,
             Partition::Kind kind = Partition::Kind::kRowModWorld) {
  Tables tables;
  torii::testing::RunOnRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const auto group, MakeGroup(comm, Specs(), kDim, config, kSeed, kind));
    for (int64_t step = 0; step < steps; ++step) {
      const auto mine = PartOf(AskedInStep(step, 0), comm.rank(), world_size, step);
      TORII_ASSIGN_OR_RETURN(Lookup asked, Ask(*group, comm, mine, step));
      TORII_ASSIGN_OR_RETURN(Lookup owned, AskOwned(*group, comm, step));
      TORII_ASSIGN_OR_RETURN(Lookup unused, Ask(*group, comm, {}, step));
      const std::vector<const Lookup*> lookups = {&asked, &owned, &unused};
      TORII_RETURN_IF_ERROR(
          Update(*group, comm, lookups, 1.0 / static_cast<double>(1 + step), step));
    }
    Collect(*group, comm, &tables);
    return absl::OkStatus();
  });
  return tables;
}

TEST(TableGroupTest, StartValuesDoNotDependOnTheWorldBitForBit) {
  const Tables one = Train(1, {}, 0);
  ASSERT_EQ(one.size(), 8u);
  EXPECT_FALSE(at::equal(one.at("item.weight")[0], one.at("item.weight")[1]));
  EXPECT_FALSE(at::equal(one.at("item.weight")[0], one.at("user.weight")[0]));
  EXPECT_NEAR(one.at("item.weight").std().item<double>(), 0.05, 0.005);
  for (const Partition::Kind kind : kKinds) {
    for (const int world_size : {1, 2, 3, 4, 7}) {
      for (const auto& [name, table] : Train(world_size, {}, 0, kind)) {
        EXPECT_TRUE(at::equal(table, one.at(name)))
            << name << " on " << world_size << ", " << NameOf(kind);
      }
    }
  }
}

TEST(TableGroupTest, RanksTrainTheTablesOfOneRank) {
  for (int o = TableConfig::Optimizer_MIN; o <= TableConfig::Optimizer_MAX; ++o) {
    TableConfig config;
    config.set_optimizer(static_cast<TableConfig::Optimizer>(o));
    config.set_l2(2e-3);
    const Tables one = Train(1, config, kSteps);
    EXPECT_FALSE(at::equal(one.at("item.weight"), Train(1, config, 0).at("item.weight")));
    for (const int world_size : {2, 3, 4, 7}) {
      for (const auto& [name, table] : Train(world_size, config, kSteps)) {
        // Sums of a few gradients in another order: some units in the last place.
        EXPECT_TRUE(at::allclose(table, one.at(name), 1e-5, 1e-6))
            << name << " on " << world_size << " ranks, "
            << TableConfig::Optimizer_Name(config.optimizer()) << ": "
            << (table - one.at(name)).abs().max().item<double>();
      }
    }
  }
}

// Every kind of partition sums a row's gradients in the same order.
TEST(TableGroupTest, PartitionsOfOneWorldGiveTheSameBits) {
  TableConfig adam;
  adam.set_optimizer(TableConfig::ADAM);
  for (const int world_size : {1, 2, 3, 4, 7}) {
    const Tables mod = Train(world_size, adam, kSteps);
    for (const Partition::Kind kind : {Partition::Kind::kBlocks, Partition::Kind::kReplicated}) {
      for (const auto& [name, table] : Train(world_size, adam, kSteps, kind)) {
        // Rows of `item` that their owner asks for itself come from another rank in each partition.
        const bool same = name.starts_with("item") ? at::allclose(table, mod.at(name), 1e-5, 1e-6)
                                                   : at::equal(table, mod.at(name));
        EXPECT_TRUE(same) << name << " on " << world_size << ", " << NameOf(kind);
      }
    }
  }
}

TEST(TableGroupTest, RunsAtOneWorldGiveTheSameBits) {
  const Tables first = Train(3, {}, kSteps);
  for (const auto& [name, table] : Train(3, {}, kSteps)) {
    EXPECT_TRUE(at::equal(table, first.at(name))) << name;
  }
}

TEST(TableGroupTest, FindsEveryAskedRowOnEveryRank) {
  const Tables one = Train(1, {}, 0);
  const std::vector<TableKeys::Table> specs = Specs();
  for (const int world_size : {1, 2, 3, 4, 7}) {
    torii::testing::RunOnRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
      TORII_ASSIGN_OR_RETURN(const auto group, MakeGroup(comm, Specs(), kDim, {}, kSeed));
      for (int64_t step = 0; step < 4; ++step) {
        const auto asked = PartOf(AskedInStep(step, 0), comm.rank(), world_size, step);
        std::vector<int64_t> keys;
        for (const Asked& a : asked) keys.push_back(group->keys().Key(a.table, a.row));
        TORII_ASSIGN_OR_RETURN(const Lookup lookup, Find(*group, comm, keys));
        TORII_EXPECT_OR_RETURN(lookup.rows.is_leaf() && lookup.rows.requires_grad());
        TORII_EXPECT_OR_RETURN(lookup.route.index.size(0) == static_cast<int64_t>(asked.size()));
        for (size_t i = 0; i < asked.size(); ++i) {
          const auto& name = specs[static_cast<size_t>(asked[i].table)].name;
          const int64_t at = lookup.route.index[static_cast<int64_t>(i)].item<int64_t>();
          TORII_EXPECT_OR_RETURN(
              at::equal(lookup.rows[at], one.at(name + ".weight")[asked[i].row]));
        }
      }
      return absl::OkStatus();
    });
  }
}

TEST(TableGroupTest, FindOwnedFindsWhatFindFinds) {
  for (const int world_size : {1, 2, 3}) {
    torii::testing::RunOnRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
      TORII_ASSIGN_OR_RETURN(const auto group, MakeGroup(comm, Specs(), kDim, {}, kSeed));
      std::vector<int64_t> keys;
      for (int64_t row = comm.rank(); row < 101; row += world_size) {
        keys.push_back(
            group->keys().Key(1, (row * 7) % 101 / world_size * world_size + comm.rank()));
        if (keys.back() > group->keys().Key(1, 100)) keys.pop_back();
      }
      TORII_ASSIGN_OR_RETURN(const Lookup found, Find(*group, comm, keys));
      TORII_ASSIGN_OR_RETURN(const Lookup owned, FindOwned(*group, comm, keys));
      TORII_EXPECT_OR_RETURN(!keys.empty());
      TORII_EXPECT_OR_RETURN(at::equal(owned.route.index, at::arange(std::ssize(keys))));
      TORII_EXPECT_OR_RETURN(at::equal(found.rows.index_select(0, found.route.index), owned.rows));
      return absl::OkStatus();
    });
  }
}

TEST(TableGroupTest, LookupsWithoutGradModeCollectNothing) {
  torii::testing::RunOnRanks(2, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const auto group, MakeGroup(comm, Specs(), kDim, {}, kSeed));
    const c10::NoGradGuard no_grad;
    TORII_ASSIGN_OR_RETURN(const Lookup lookup, Find(*group, comm, std::vector<int64_t>{0, 1}));
    TORII_EXPECT_OR_RETURN(!lookup.rows.requires_grad());
    return absl::OkStatus();
  });
}

TEST(TableGroupTest, AllRanksMayAskNothing) {
  torii::testing::RunOnRanks(2, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const auto group, MakeGroup(comm, Specs(), kDim, {}, kSeed));
    TORII_ASSIGN_OR_RETURN(Lookup lookup, Find(*group, comm, {}));
    TORII_EXPECT_OR_RETURN(lookup.rows.size(0) == 0 && lookup.rows.size(1) == kDim);
    const std::vector<const Lookup*> lookups = {&lookup};
    TORII_RETURN_IF_ERROR(Update(*group, comm, lookups, 1.0, 0));
    return Update(*group, comm, {}, 1.0, 1);
  });
}

TEST(TableGroupTest, StateIsLiveAndBytesCountAllOfIt) {
  torii::testing::RunOnRanks(2, [&](comm::Communicator& comm) -> absl::Status {
    TableConfig config;
    config.set_optimizer(TableConfig::ADAM);
    TORII_ASSIGN_OR_RETURN(const auto group, MakeGroup(comm, {{"t", 4}}, 3, config, 1));
    TORII_EXPECT_OR_RETURN(group->bytes() == 2 * 3 * 4 * 3);
    std::vector<TableState> state = group->State();
    TORII_EXPECT_OR_RETURN(state.size() == 3 && state[0].name == "t.weight");
    TORII_EXPECT_OR_RETURN(state[1].name == "t.adam.m" && state[2].name == "t.adam.v");
    state[0].tensor.fill_(7);
    TORII_ASSIGN_OR_RETURN(const Lookup lookup, Find(*group, comm, std::vector<int64_t>{0, 1, 3}));
    TORII_EXPECT_OR_RETURN((lookup.rows == 7).all().item<bool>());
    return absl::OkStatus();
  });
}

TEST(TableGroupTest, RefusesWhatCannotWork) {
  const auto ranks = comm::CreateInProcessGroup(1);
  TableConfig config;
  config.set_learning_rate(-1);
  config.set_beta2(1);
  const auto bad = MakeGroup(*ranks[0], {{"a", 0}, {"b", 1}, {"b", 1}}, 0, config, 1);

  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(ExitCodeOf(bad.status()), ExitCode::kConfig);
  const std::string message(bad.status().message());
  for (const char* part : {"learning_rate: must be above 0, not -1",
                           "beta2: must be in [0, 1), not 1", "'a' has 0 rows", "'b'", "width"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << " in " << message;
  }
}

TEST(TableGroupDeathTest, LookupsRefuseKeysThatAreNoRows) {
  const auto ranks = comm::CreateInProcessGroup(1);
  comm::Communicator& comm = *ranks[0];
  const auto group = MakeGroup(comm, {{"a", 3}, {"b", 2}}, 1, {}, 1).value();
  for (const int64_t key : {int64_t{-1}, int64_t{5}, int64_t{1} << 40}) {
    EXPECT_DEATH((void)Find(*group, comm, std::vector<int64_t>{0, key}),
                 "negative|of a key space of 5");
    EXPECT_DEATH((void)FindOwned(*group, comm, std::vector<int64_t>{0, key}),
                 "of a key space of 5");
  }
}

}  // namespace
}  // namespace torii::sharding
