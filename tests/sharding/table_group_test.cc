// Tables over W ranks against one rank.
#include "sharding/table_group.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "ATen/Parallel.h"
#include "base/exit_code.h"
#include "base/random.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "c10/core/GradMode.h"
#include "gtest/gtest.h"
#include "tests/support/run_on_ranks.h"

namespace torii::sharding {
namespace {

constexpr int64_t kDim = 5;
constexpr int64_t kSteps = 5;
constexpr uint64_t kSeed = 11;

// Tables smaller than the world, of one row, and of a prime number of rows.
std::vector<TableSpec> Specs() { return {{"small", 2}, {"item", 101}, {"one", 1}, {"user", 53}}; }

// One asked row and its gradient's number; the global list is cut over the ranks.
struct Asked {
  int table;
  int64_t row;
  uint64_t number;
};

std::vector<Asked> AskedInStep(int64_t step, uint64_t lookup) {
  const RandomStream stream(kSeed, "asked", static_cast<uint64_t>(2 * step) + lookup);
  const std::vector<TableSpec> specs = Specs();
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
  if (count > 0) lookup.rows.index_select(0, lookup.index).backward(gradient);
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

absl::StatusOr<Lookup> Ask(TableGroup& group, const std::vector<Asked>& asked, int64_t step) {
  std::vector<int64_t> keys;
  for (const Asked& a : asked) keys.push_back(group.Key(a.table, a.row));
  TORII_ASSIGN_OR_RETURN(Lookup lookup, group.Find(keys));
  Backward(lookup, asked, step);
  return lookup;
}

// The second lookup of a step: rows of table "item" that this rank owns.
absl::StatusOr<Lookup> AskOwned(TableGroup& group, const comm::Communicator& comm, int64_t step) {
  std::vector<Asked> asked;
  for (const Asked& a : AskedInStep(step, 1)) {
    if (a.table == 1 && RowOwner(a.row, comm.world_size()) == comm.rank()) asked.push_back(a);
  }
  std::vector<int64_t> keys;
  for (const Asked& a : asked) keys.push_back(group.Key(a.table, a.row));
  TORII_ASSIGN_OR_RETURN(Lookup lookup, group.FindOwned(keys));
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
    if (!whole.defined()) whole = at::full({state.rows, state.tensor.size(1)}, 1e9f);
    EXPECT_EQ(state.tensor.size(0), OwnedRows(state.rows, comm.rank(), comm.world_size()));
    for (int64_t i = 0; i < state.tensor.size(0); ++i) {
      whole[comm.rank() + i * comm.world_size()].copy_(state.tensor[i]);
    }
  }
}

Tables Train(int world_size, const TableConfig& config, int64_t steps) {
  Tables tables;
  torii::testing::RunOnRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const auto group,
                           TableGroup::Create(comm, Specs(), kDim, config, kSeed));
    for (int64_t step = 0; step < steps; ++step) {
      const auto mine = PartOf(AskedInStep(step, 0), comm.rank(), world_size, step);
      TORII_ASSIGN_OR_RETURN(Lookup asked, Ask(*group, mine, step));
      TORII_ASSIGN_OR_RETURN(Lookup owned, AskOwned(*group, comm, step));
      TORII_ASSIGN_OR_RETURN(Lookup unused, Ask(*group, {}, step));
      std::vector<Lookup*> lookups = {&asked, &owned, &unused};
      TORII_RETURN_IF_ERROR(group->Update(lookups, 1.0 / static_cast<double>(1 + step), step));
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
  for (const int world_size : {2, 3, 4, 7}) {
    for (const auto& [name, table] : Train(world_size, {}, 0)) {
      EXPECT_TRUE(at::equal(table, one.at(name))) << name << " on " << world_size;
    }
  }
}

TEST(TableGroupTest, RanksTrainTheTablesOfOneRank) {
  for (int o = TableConfig::Optimizer_MIN; o <= TableConfig::Optimizer_MAX; ++o) {
    TableConfig config;
    config.set_optimizer(static_cast<TableConfig::Optimizer>(o));
    config.set_weight_decay(1e-3);
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

TEST(TableGroupTest, RunsAtOneWorldGiveTheSameBits) {
  const Tables first = Train(3, {}, kSteps);
  for (const auto& [name, table] : Train(3, {}, kSteps)) {
    EXPECT_TRUE(at::equal(table, first.at(name))) << name;
  }
}

TEST(TableGroupTest, FindsEveryAskedRowOnEveryRank) {
  const Tables one = Train(1, {}, 0);
  const std::vector<TableSpec> specs = Specs();
  for (const int world_size : {1, 2, 3, 4, 7}) {
    torii::testing::RunOnRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
      TORII_ASSIGN_OR_RETURN(const auto group, TableGroup::Create(comm, Specs(), kDim, {}, kSeed));
      for (int64_t step = 0; step < 4; ++step) {
        const auto asked = PartOf(AskedInStep(step, 0), comm.rank(), world_size, step);
        std::vector<int64_t> keys;
        for (const Asked& a : asked) keys.push_back(group->Key(a.table, a.row));
        TORII_ASSIGN_OR_RETURN(const Lookup lookup, group->Find(keys));
        TORII_EXPECT_OR_RETURN(lookup.rows.is_leaf() && lookup.rows.requires_grad());
        TORII_EXPECT_OR_RETURN(lookup.index.size(0) == static_cast<int64_t>(asked.size()));
        for (size_t i = 0; i < asked.size(); ++i) {
          const auto& name = specs[static_cast<size_t>(asked[i].table)].name;
          const int64_t at = lookup.index[static_cast<int64_t>(i)].item<int64_t>();
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
      TORII_ASSIGN_OR_RETURN(const auto group, TableGroup::Create(comm, Specs(), kDim, {}, kSeed));
      std::vector<int64_t> keys;
      for (int64_t row = comm.rank(); row < 101; row += world_size) {
        keys.push_back(group->Key(1, (row * 7) % 101 / world_size * world_size + comm.rank()));
        if (keys.back() > group->Key(1, 100)) keys.pop_back();
      }
      TORII_ASSIGN_OR_RETURN(const Lookup found, group->Find(keys));
      TORII_ASSIGN_OR_RETURN(const Lookup owned, group->FindOwned(keys));
      TORII_EXPECT_OR_RETURN(!keys.empty());
      TORII_EXPECT_OR_RETURN(at::equal(owned.index, at::arange(std::ssize(keys))));
      TORII_EXPECT_OR_RETURN(at::equal(found.rows.index_select(0, found.index), owned.rows));
      return absl::OkStatus();
    });
  }
}

// A rank that computes no gradient for its rows leaves them out; the others' count all the same.
TEST(TableGroupTest, ARankWithoutGradientTouchesNothing) {
  torii::testing::RunOnRanks(3, [&](comm::Communicator& comm) -> absl::Status {
    TableConfig config;
    config.set_optimizer(TableConfig::SGD);
    config.set_learning_rate(1);
    config.set_weight_decay(0.1);
    TORII_ASSIGN_OR_RETURN(const auto group,
                           TableGroup::Create(comm, {{"t", 6}}, 2, config, kSeed));
    const std::vector<int64_t> keys = {comm.rank(), 3};
    TORII_ASSIGN_OR_RETURN(Lookup before, group->Find(std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
    TORII_ASSIGN_OR_RETURN(Lookup lookup, group->Find(keys));
    if (comm.rank() != 1) lookup.rows.mutable_grad() = at::ones({2, 2});
    std::vector<Lookup*> lookups = {&before, &lookup};

    TORII_RETURN_IF_ERROR(group->Update(lookups, 1.0, 0));

    TORII_ASSIGN_OR_RETURN(Lookup after, group->Find(std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
    const at::Tensor was = before.rows.detach().index_select(0, before.index);
    const at::Tensor is = after.rows.detach().index_select(0, after.index);
    const at::Tensor times = at::tensor({1.0f, 0.0f, 1.0f, 2.0f, 0.0f, 0.0f}).view({6, 1});
    TORII_EXPECT_OR_RETURN(at::allclose(is, was * (1 - 0.2 * (times > 0).to(at::kFloat)) - times));
    return absl::OkStatus();
  });
}

TEST(TableGroupTest, LookupsWithoutGradModeCollectNothing) {
  torii::testing::RunOnRanks(2, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const auto group, TableGroup::Create(comm, Specs(), kDim, {}, kSeed));
    const c10::NoGradGuard no_grad;
    TORII_ASSIGN_OR_RETURN(const Lookup lookup, group->Find(std::vector<int64_t>{0, 1}));
    TORII_EXPECT_OR_RETURN(!lookup.rows.requires_grad());
    return absl::OkStatus();
  });
}

TEST(TableGroupTest, AllRanksMayAskNothing) {
  torii::testing::RunOnRanks(2, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const auto group, TableGroup::Create(comm, Specs(), kDim, {}, kSeed));
    TORII_ASSIGN_OR_RETURN(Lookup lookup, group->Find({}));
    TORII_EXPECT_OR_RETURN(lookup.rows.size(0) == 0 && lookup.rows.size(1) == kDim);
    std::vector<Lookup*> lookups = {&lookup};
    TORII_RETURN_IF_ERROR(group->Update(lookups, 1.0, 0));
    return group->Update({}, 1.0, 1);
  });
}

TEST(TableGroupTest, StateIsLiveAndBytesCountAllOfIt) {
  torii::testing::RunOnRanks(2, [&](comm::Communicator& comm) -> absl::Status {
    TableConfig config;
    config.set_optimizer(TableConfig::ADAM);
    TORII_ASSIGN_OR_RETURN(const auto group, TableGroup::Create(comm, {{"t", 4}}, 3, config, 1));
    TORII_EXPECT_OR_RETURN(group->bytes() == 2 * 3 * 4 * 3);
    std::vector<TableState> state = group->State();
    TORII_EXPECT_OR_RETURN(state.size() == 3 && state[0].name == "t.weight");
    TORII_EXPECT_OR_RETURN(state[1].name == "t.adam.m" && state[2].name == "t.adam.v");
    state[0].tensor.fill_(7);
    TORII_ASSIGN_OR_RETURN(const Lookup lookup, group->Find(std::vector<int64_t>{0, 1, 3}));
    TORII_EXPECT_OR_RETURN((lookup.rows == 7).all().item<bool>());
    return absl::OkStatus();
  });
}

TEST(TableGroupTest, RefusesWhatCannotWork) {
  auto comm = std::move(comm::CreateInProcessGroup(1)[0]);
  TableConfig config;
  config.set_learning_rate(-1);
  config.set_beta2(1);
  const auto bad = TableGroup::Create(*comm, {{"a", 0}, {"b", 1}, {"b", 1}}, 0, config, 1);

  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(ExitCodeOf(bad.status()), ExitCode::kConfig);
  const std::string message(bad.status().message());
  for (const char* part : {"learning_rate is -1", "beta2 is 1", "'a' has 0 rows", "'b'", "width"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << " in " << message;
  }
  EXPECT_TRUE(Validate(TableConfig()).empty());
}

TEST(TableGroupDeathTest, KeyRefusesRowsOutsideTheTable) {
  auto comm = std::move(comm::CreateInProcessGroup(1)[0]);
  const auto group = TableGroup::Create(*comm, Specs(), kDim, {}, 1).value();
  EXPECT_DEATH((void)group->Key(1, 101), "row 101 of table 'item', which has 101");
  EXPECT_DEATH((void)group->Key(1, -1), "row -1");
  EXPECT_DEATH((void)group->Key(4, 0), "table 4 of 4");
}

TEST(TableGroupDeathTest, LookupsRefuseKeysThatAreNoRows) {
  auto ranks = comm::CreateInProcessGroup(1);
  const auto group = TableGroup::Create(*ranks[0], {{"a", 3}, {"b", 2}}, 1, {}, 1).value();
  for (const int64_t key : {int64_t{-1}, int64_t{5}, int64_t{1} << 40}) {
    EXPECT_DEATH((void)group->Find(std::vector<int64_t>{0, key}), "negative|of a key space of 5");
    EXPECT_DEATH((void)group->FindOwned(std::vector<int64_t>{0, key}), "of a key space of 5");
  }
}

// On two ranks table "a" fills its last slot up with a key that is no row.
TEST(TableGroupDeathTest, LookupsRefuseTheGapBehindATable) {
  auto ranks = comm::CreateInProcessGroup(2);
  const auto group = TableGroup::Create(*ranks[1], {{"a", 3}, {"b", 2}}, 1, {}, 1).value();
  EXPECT_DEATH((void)group->Find(std::vector<int64_t>{3}), "row 3 of table 'a', which has 3");
  EXPECT_DEATH((void)group->FindOwned(std::vector<int64_t>{3}), "row 3 of table 'a', which has 3");
}

// One of many rows has thousands of gradients; every row is compared with float64 sums, at sizes
// where several threads share the work.
TEST(TableGroupTest, ManyRepeatedRowsAreSummedAsOne) {
  constexpr int64_t kRows = 5000, kKeys = 60'000, kWide = 3;
  auto comm = std::move(comm::CreateInProcessGroup(1)[0]);
  TableConfig config;
  config.set_optimizer(TableConfig::SGD);
  config.set_learning_rate(1);
  config.set_init_stddev(0);
  const auto group = TableGroup::Create(*comm, {{"t", kRows}}, kWide, config, 1).value();
  const RandomStream stream(3, "keys");
  std::vector<int64_t> keys;
  for (uint64_t i = 0; i < static_cast<uint64_t>(kKeys); ++i) {
    keys.push_back(i % 3 == 0 ? 77 : stream.Below(i, kRows));
  }
  Lookup lookup = group->FindOwned(keys).value();
  lookup.rows.mutable_grad() = at::rand({kKeys, kWide});
  at::Tensor sums = at::zeros({kRows, kWide}, at::kDouble);
  const at::Tensor places = at::tensor(keys, at::kLong);
  sums.index_add_(0, places, lookup.rows.grad().to(at::kDouble));
  std::vector<Lookup*> lookups = {&lookup};

  ASSERT_TRUE(group->Update(lookups, 1.0, 0).ok());

  EXPECT_TRUE(at::allclose(group->State()[0].tensor.to(at::kDouble), -sums, 1e-5, 1e-5));
}

TEST(TableGroupTest, ThreadsDoNotChangeABit) {
  const int threads = at::get_num_threads();
  for (const int64_t dim : {16, 37}) {
    for (int o = TableConfig::Optimizer_MIN; o <= TableConfig::Optimizer_MAX; ++o) {
      TableConfig config;
      config.set_optimizer(static_cast<TableConfig::Optimizer>(o));
      std::vector<at::Tensor> states;
      for (const int count : {1, 2, 3}) {
        at::set_num_threads(count);
        auto comm = std::move(comm::CreateInProcessGroup(1)[0]);
        const auto group = TableGroup::Create(*comm, {{"t", 9000}}, dim, config, 1).value();
        for (int64_t step = 0; step < 2; ++step) {
          const RandomStream stream(5, "keys", static_cast<uint64_t>(step));
          std::vector<int64_t> keys;
          for (uint64_t i = 0; i < 40'000; ++i) keys.push_back(stream.Below(i, 1 + i % 9000));
          Lookup lookup = group->FindOwned(keys).value();
          lookup.rows.mutable_grad() = (lookup.rows.detach() + 0.01) * 0.5;
          std::vector<Lookup*> lookups = {&lookup};
          ASSERT_TRUE(group->Update(lookups, 1.0, step).ok());
        }
        states.push_back(group->State()[0].tensor.clone());
      }
      for (const at::Tensor& state : states) EXPECT_TRUE(at::equal(state, states[0])) << o;
    }
  }
  at::set_num_threads(threads);
}

}  // namespace
}  // namespace torii::sharding
