// Updates of a table group: which rows are touched, by whose numbers, in which order.
#include <memory>
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "ATen/Parallel.h"
#include "base/partition.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "sharding/table_group.h"
#include "tests/sharding/group_support.h"
#include "tests/support/run_on_ranks.h"

namespace torii::sharding {
namespace {

constexpr uint64_t kSeed = 11;

constexpr Partition::Kind kKinds[] = {Partition::Kind::kRowModWorld, Partition::Kind::kBlocks,
                                      Partition::Kind::kReplicated};

// A rank that has no gradient for its rows sends zeros: the rows are touched all the same, by the
// weight decay too.
TEST(TableUpdateTest, NoGradientCountsAsZeros) {
  for (const Partition::Kind kind : kKinds) {
    torii::testing::RunOnRanks(3, [&](comm::Communicator& comm) -> absl::Status {
      TableConfig config;
      config.set_optimizer(TableConfig::SGD);
      config.set_learning_rate(1);
      config.set_l2(0.2);
      TORII_ASSIGN_OR_RETURN(const auto group, MakeGroup(comm, {{"t", 6}}, 2, config, kSeed, kind));
      std::vector<int64_t> all;
      for (int64_t row = 0; row < 6; ++row) all.push_back(group->keys().Key(0, row));
      const std::vector<int64_t> keys = {all[static_cast<size_t>(comm.rank())], all[3]};
      TORII_ASSIGN_OR_RETURN(const Lookup before, Find(*group, comm, all));
      TORII_ASSIGN_OR_RETURN(const Lookup lookup, Find(*group, comm, keys));
      if (comm.rank() != 1) lookup.rows.mutable_grad() = at::ones({2, 2});

      TORII_RETURN_IF_ERROR(Update(*group, comm, {&lookup}, 1.0, 0));

      TORII_ASSIGN_OR_RETURN(const Lookup after, Find(*group, comm, all));
      const at::Tensor was = before.rows.detach().index_select(0, before.route.index);
      const at::Tensor is = after.rows.detach().index_select(0, after.route.index);
      const at::Tensor times = at::tensor({1.0f, 0.0f, 1.0f, 2.0f, 0.0f, 0.0f}).view({6, 1});
      const at::Tensor touched = at::tensor({1.0f, 1.0f, 1.0f, 1.0f, 0.0f, 0.0f}).view({6, 1});
      TORII_EXPECT_OR_RETURN(at::allclose(is, was * (1 - 0.2 * touched) - times));
      return absl::OkStatus();
    });
  }
}

// Each table has its own numbers and its own optimizer.
TEST(TableUpdateTest, TablesHaveTheirOwnOptimizers) {
  const auto specs = [] {
    std::vector<TableSpec> tables = {
        {"adam", 9, {}}, {"slow", 5, {}}, {"fast", 7, {}}, {"zero", 3, {}}};
    tables[0].config.set_optimizer(TableConfig::ADAM);
    for (size_t t = 1; t < tables.size(); ++t) tables[t].config.set_optimizer(TableConfig::SGD);
    tables[1].config.set_learning_rate(0.5);
    tables[2].config.set_learning_rate(2);
    tables[3].config.set_learning_rate(2);
    tables[3].config.set_init_stddev(0);
    return tables;
  };
  for (const Partition::Kind kind : kKinds) {
    for (const int world_size : {1, 2, 3}) {
      torii::testing::RunOnRanks(world_size, [&](comm::Communicator& comm) -> absl::Status {
        TORII_ASSIGN_OR_RETURN(const auto group,
                               TableGroup::Create(comm.rank(), world_size, specs(), 2, kind, kSeed,
                                                  kernels::Device::Cpu()));
        std::vector<int64_t> keys;
        for (int table = 3; table >= 0; --table) {
          for (int64_t row = 0; row < specs()[static_cast<size_t>(table)].rows; ++row) {
            keys.push_back(group->keys().Key(table, row));
          }
        }
        TORII_ASSIGN_OR_RETURN(const Lookup before, Find(*group, comm, keys));
        if (comm.rank() == 0) before.rows.mutable_grad() = at::ones_like(before.rows.detach());
        TORII_RETURN_IF_ERROR(Update(*group, comm, {&before}, 1.0, 0));
        TORII_ASSIGN_OR_RETURN(const Lookup after, Find(*group, comm, keys));
        const at::Tensor was = before.rows.detach().index_select(0, before.route.index);
        const at::Tensor is = after.rows.detach().index_select(0, after.route.index);
        const at::Tensor moved = was - is;
        TORII_EXPECT_OR_RETURN(at::equal(was.narrow(0, 0, 3), at::zeros({3, 2})));
        TORII_EXPECT_OR_RETURN(at::allclose(moved.narrow(0, 0, 10), at::full({10, 2}, 2.0)));
        TORII_EXPECT_OR_RETURN(at::allclose(moved.narrow(0, 10, 5), at::full({5, 2}, 0.5)));
        // The first step of Adam moves by the learning rate.
        TORII_EXPECT_OR_RETURN(at::allclose(moved.narrow(0, 15, 9), at::full({9, 2}, 0.05)));
        for (const TableState& state : group->State()) {
          TORII_EXPECT_OR_RETURN(state.name.ends_with(".weight") || state.name == "adam.adam.m" ||
                                 state.name == "adam.adam.v");
        }
        return absl::OkStatus();
      });
    }
  }
}

// One of many rows has thousands of gradients; every row is compared with float64 sums, at sizes
// where several threads share the work.
TEST(TableUpdateTest, ManyRepeatedRowsAreSummedAsOne) {
  constexpr int64_t kRows = 5000, kKeys = 60'000, kWide = 3;
  const auto ranks = comm::CreateInProcessGroup(1);
  comm::Communicator& comm = *ranks[0];
  TableConfig config;
  config.set_optimizer(TableConfig::SGD);
  config.set_learning_rate(1);
  config.set_init_stddev(0);
  const auto group = MakeGroup(comm, {{"t", kRows}}, kWide, config, 1).value();
  const RandomStream stream(3, "keys");
  std::vector<int64_t> keys;
  for (uint64_t i = 0; i < static_cast<uint64_t>(kKeys); ++i) {
    keys.push_back(i % 3 == 0 ? 77 : stream.Below(i, kRows));
  }
  Lookup lookup = FindOwned(*group, comm, keys).value();
  lookup.rows.mutable_grad() = at::rand({kKeys, kWide});
  at::Tensor sums = at::zeros({kRows, kWide}, at::kDouble);
  const at::Tensor places = at::tensor(keys, at::kLong);
  sums.index_add_(0, places, lookup.rows.grad().to(at::kDouble));
  const std::vector<const Lookup*> lookups = {&lookup};

  ASSERT_TRUE(Update(*group, comm, lookups, 1.0, 0).ok());

  EXPECT_TRUE(at::allclose(group->State()[0].tensor.to(at::kDouble), -sums, 1e-5, 1e-5));
}

TEST(TableUpdateTest, ThreadsDoNotChangeABit) {
  const int threads = at::get_num_threads();
  for (const int64_t dim : {16, 37}) {
    for (int o = TableConfig::Optimizer_MIN; o <= TableConfig::Optimizer_MAX; ++o) {
      TableConfig config;
      config.set_optimizer(static_cast<TableConfig::Optimizer>(o));
      std::vector<at::Tensor> states;
      for (const int count : {1, 2, 3}) {
        at::set_num_threads(count);
        const auto ranks = comm::CreateInProcessGroup(1);
        comm::Communicator& comm = *ranks[0];
        const auto group = MakeGroup(comm, {{"t", 9000}}, dim, config, 1).value();
        for (int64_t step = 0; step < 2; ++step) {
          const RandomStream stream(5, "keys", static_cast<uint64_t>(step));
          std::vector<int64_t> keys;
          for (uint64_t i = 0; i < 40'000; ++i) keys.push_back(stream.Below(i, 1 + i % 9000));
          Lookup lookup = FindOwned(*group, comm, keys).value();
          lookup.rows.mutable_grad() = (lookup.rows.detach() + 0.01) * 0.5;
          const std::vector<const Lookup*> lookups = {&lookup};
          ASSERT_TRUE(Update(*group, comm, lookups, 1.0, step).ok());
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
