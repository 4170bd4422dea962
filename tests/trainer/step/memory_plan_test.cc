#include "trainer/step/memory_plan.h"

#include <string>
#include <vector>

#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/run_on_ranks.h"
#include "tests/support/small_runs.h"
#include "trainer/step/two_tower.h"

namespace torii::trainer {
namespace {

using ::testing::HasSubstr;

std::vector<sharding::TableNeed> Needs() {
  sharding::TableNeed users{"user_id", 1000, 16, {}, 32, /*grows=*/true};
  users.config.set_optimizer(sharding::TableConfig::ADAM);
  sharding::TableNeed items{"item_id", 11, 8, {}, 32, /*grows=*/true};
  items.config.set_optimizer(sharding::TableConfig::ROWWISE_ADAGRAD);
  return {users, items};
}

TEST(MemoryPlanTest, CountsRowsWithTheirStateOnTheRankThatHoldsMost) {
  EXPECT_EQ(PlanMemory(Needs(), 1, 100, {}).tables, 1000 * 3 * 16 * 4 + 11 * (8 + 1) * 4);
  EXPECT_EQ(PlanMemory(Needs(), 3, 100, {}).tables, 334 * 3 * 16 * 4 + 4 * (8 + 1) * 4);
  EXPECT_EQ(PlanMemory({}, 1, 100, {}).dense, 5 * 100 * 4);
  EXPECT_EQ(PlanMemory({}, 1, 0, {}).step, 0);
  const StepSize step{.rows = 10, .columns = 40, .history = 2, .dim = 4};
  EXPECT_EQ(PlanMemory(Needs(), 1, 0, step).step, 2 * 4 * (30 * 16 + 50 * 4));
}

kernels::Device WithFree(int64_t bytes) { return kernels::Device::Emulated().WithFreeBytes(bytes); }

TEST(MemoryPlanTest, WhatDoesNotFitIsRefusedWithTheSizes) {
  const MemoryPlan plan{.tables = int64_t{3} << 30, .dense = int64_t{1} << 29, .step = 1 << 20};
  EXPECT_TRUE(CheckFits(plan, kernels::Device::Cpu()).ok());
  EXPECT_TRUE(CheckFits(plan, WithFree(int64_t{7} << 29)).ok());
  const absl::Status refused = CheckFits(plan, WithFree((int64_t{7} << 29) - 1));
  EXPECT_EQ(ExitCodeOf(refused), ExitCode::kConfig);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("tables and optimizer state 3.00 GiB, dense weights 0.50 GiB"));
}

// No table exists then: the error is the plan's, not LibTorch's.
TEST(MemoryPlanTest, AModelIsRefusedBeforeItsTablesAreMade) {
  const testing::FakeDataset dataset(testing::SmallData());
  TwoTowerConfig config = testing::SmallRuns().front().second.model;
  testing::RunOnRanks(1, [&](comm::Communicator& comm) -> absl::Status {
    config.device = WithFree(int64_t{1} << 40);
    EXPECT_TRUE(TwoTower::Create(comm, dataset, config).ok());
    config.device = WithFree(1000);
    const absl::Status refused = TwoTower::Create(comm, dataset, config).status();
    EXPECT_THAT(std::string(refused.message()), HasSubstr("does not fit"));
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace torii::trainer
