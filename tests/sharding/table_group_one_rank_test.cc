// One rank alone: what a group refuses, many repeated rows, many threads.
#include <string>
#include <vector>

#include "ATen/ATen.h"
#include "ATen/Parallel.h"
#include "base/exit_code.h"
#include "base/random.h"
#include "comm/in_process/rank_group.h"
#include "gtest/gtest.h"
#include "sharding/table_group.h"
#include "tests/sharding/group_support.h"

namespace torii::sharding {
namespace {

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

// One of many rows has thousands of gradients; every row is compared with float64 sums, at sizes
// where several threads share the work.
TEST(TableGroupTest, ManyRepeatedRowsAreSummedAsOne) {
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

TEST(TableGroupTest, ThreadsDoNotChangeABit) {
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
