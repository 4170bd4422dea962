// Where tables lie changes no model: every placement on W ranks trains what one rank trains, and a
// run goes on from a checkpoint of any other placement.
#include <string>
#include <utility>
#include <vector>

#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/run_on_ranks.h"
#include "tests/support/small_runs.h"
#include "tests/support/train_run.h"
#include "trainer/train_loop.h"

namespace torii::trainer {
namespace {

using sharding::TableConfig;
using testing::ExpectSameTraining;
using testing::FakeDataset;
using testing::SmallRun;
using testing::TrainedState;
using testing::TrainSmallOnThreads;

TableConfig Entry(const std::string& name, TableConfig::Placement placement) {
  TableConfig entry;
  entry.set_name(name);
  entry.set_placement(placement);
  return entry;
}

struct Placement {
  std::string name;
  TableConfig::Placement of_all;
  std::vector<TableConfig> table;
};

std::vector<Placement> Placements() {
  return {
      {"all in blocks", TableConfig::BLOCKS, {}},
      {"all replicated", TableConfig::REPLICATED, {}},
      {"items replicated, users in blocks",
       TableConfig::AUTO,
       {Entry("item_id", TableConfig::REPLICATED), Entry("user_id", TableConfig::BLOCKS)}},
      {"items in blocks", TableConfig::AUTO, {Entry("item_id", TableConfig::BLOCKS)}},
  };
}

SmallRun Placed(SmallRun run, const Placement& placement) {
  run.model.tables.set_placement(placement.of_all);
  run.model.table = placement.table;
  return run;
}

TEST(PlacementTest, RanksTrainWhatOneRankTrains) {
  const FakeDataset dataset(testing::SmallData());
  const auto runs = testing::SmallRuns();
  for (const size_t r : {0u, 3u, 6u, 7u}) {
    const auto& [name, run] = runs[r];
    const TrainedState one = TrainSmallOnThreads(1, dataset, run);
    for (const Placement& placement : Placements()) {
      const SmallRun placed = Placed(run, placement);
      ExpectSameTraining(TrainSmallOnThreads(1, dataset, placed), one, 0,
                         absl::StrCat(name, ", ", placement.name, ", 1 rank"));
      for (const int world : {2, 3, 4}) {
        ExpectSameTraining(TrainSmallOnThreads(world, dataset, placed), one, 1e-5,
                           absl::StrCat(name, ", ", placement.name, ", ", world, " ranks"));
      }
    }
  }
}

// Gradients of a row are summed in the same order, whether at its owner or on every rank.
TEST(PlacementTest, ReplicatedTablesHaveTheBitsOfShardedOnes) {
  const FakeDataset dataset(testing::SmallData());
  for (const auto& [name, run] : testing::SmallRuns()) {
    SmallRun replicated = run;
    replicated.model.tables.set_placement(TableConfig::REPLICATED);
    ExpectSameTraining(TrainSmallOnThreads(3, dataset, replicated),
                       TrainSmallOnThreads(3, dataset, run), 0, name);
  }
}

// 3 rows a step on 4 and 7 ranks: some ranks never have a row, tables are smaller than the world.
TEST(PlacementTest, HoldsWhenRanksHaveNoRows) {
  const FakeDataset dataset(
      {.users = 5, .items = 6, .train_per_user = 4, .test_per_user = 0, .weights = false});
  SmallRun run = testing::SmallRuns()[0].second;
  run.global_batch = 3;
  const TrainedState one = TrainSmallOnThreads(1, dataset, run);
  for (const Placement& placement : Placements()) {
    for (const int world : {4, 7}) {
      ExpectSameTraining(TrainSmallOnThreads(world, dataset, Placed(run, placement)), one, 1e-5,
                         absl::StrCat(placement.name, ", ", world, " ranks, 3 rows a step"));
    }
  }
}

// Each table its own optimizer, rate and first weights.
TEST(PlacementTest, TablesOfTheirOwnTrainTheSameOnAnyRanks) {
  const FakeDataset dataset(testing::SmallData());
  SmallRun run = testing::SmallRuns()[4].second;
  const TrainedState alike = TrainSmallOnThreads(1, dataset, run);
  TableConfig items = Entry("item_id", TableConfig::AUTO);
  items.set_optimizer(TableConfig::ADAM);
  items.set_learning_rate(0.01);
  TableConfig users = Entry("user_id", TableConfig::REPLICATED);
  users.set_optimizer(TableConfig::SGD);
  users.set_init_stddev(0.2);
  run.model.table = {items, users};
  const TrainedState one = TrainSmallOnThreads(1, dataset, run);
  EXPECT_TRUE(one.tensors.contains("item_id.adam.m"));
  EXPECT_FALSE(one.tensors.contains("user_id.adagrad"));
  EXPECT_NE(one.losses.front(), alike.losses.front());
  for (const int world : {2, 3, 4}) {
    ExpectSameTraining(TrainSmallOnThreads(world, dataset, run), one, 1e-5,
                       absl::StrCat(world, " ranks"));
  }
}

TEST(PlacementTest, AnOverrideOfNoTableIsRefused) {
  const FakeDataset dataset(testing::SmallData());
  SmallRun run = testing::SmallRuns()[4].second;
  run.model.table = {Entry("items", TableConfig::BLOCKS)};
  testing::RunOnRanks(2, [&](comm::Communicator& comm) -> absl::Status {
    const auto towers = TwoTower::Create(comm, dataset, run.model);
    TORII_EXPECT_OR_RETURN(ExitCodeOf(towers.status()) == ExitCode::kConfig);
    TORII_EXPECT_OR_RETURN(towers.status().message().find("it has item_id, user_id") !=
                           std::string::npos);
    return absl::OkStatus();
  });
}

constexpr int64_t kSteps = 9;

TrainRun LoopRun(const std::string& name, const Placement& placement) {
  const SmallRun small = testing::SmallRuns()[3].second;
  TrainRun run;
  run.run_dir = ::testing::TempDir() + "/placement_test_" + name;
  EXPECT_TRUE(LocalFiles().RemoveAll(run.run_dir).ok());
  EXPECT_TRUE(LocalFiles().MakeDirectories(run.run_dir).ok());
  run.model = small.model.model;
  run.tables = small.model.tables;
  run.tables.set_placement(placement.of_all);
  run.table = placement.table;
  run.sampler = small.sampler;
  run.train.set_global_batch(32);
  run.train.set_epochs(100);
  run.train.set_max_steps(kSteps);
  run.train.set_log_every(3);
  run.train.set_best_metric("recall@10");
  run.train.mutable_checkpoint()->set_every_steps(4);
  return run;
}

absl::Status RunOn(int world, const data::Dataset& dataset, const TrainRun& run,
                   TrainSummary* summary) {
  return comm::RunRanks(world, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(TrainSummary mine, RunTraining(LocalFiles(), comm, dataset, run));
    if (comm.rank() == 0) *summary = std::move(mine);
    return absl::OkStatus();
  });
}

std::string LastDigest(const TrainRun& run) {
  const auto newest = NewestCheckpoint(LocalFiles(), run.run_dir + "/checkpoints");
  if (!newest.ok() || !newest->has_value()) return "none";
  EXPECT_EQ((*newest)->step, kSteps);
  return CheckpointDigests(LocalFiles(), (*newest)->path)->front().second;
}

TEST(PlacementTest, ARunGoesOnUnderAnotherPlacement) {
  const FakeDataset dataset({.users = 31, .items = 29, .train_per_user = 6, .test_per_user = 2});
  const Placement mod{"row mod world", TableConfig::AUTO, {}};
  std::vector<Placement> all = Placements();
  all.push_back(mod);
  TrainSummary one;
  ASSERT_TRUE(RunOn(1, dataset, LoopRun("one", mod), &one).ok());
  for (const Placement& first : all) {
    const Placement& second = all[(static_cast<size_t>(&first - all.data()) + 1) % all.size()];
    const TrainRun run = LoopRun("moved", first);
    TrainSummary summary;
    ASSERT_TRUE(ArmFailpoints("trainer.step@0#6=error").ok());
    EXPECT_FALSE(RunOn(3, dataset, run, &summary).ok());
    ASSERT_TRUE(ArmFailpoints("").ok());
    TrainRun moved = run;
    moved.tables.set_placement(second.of_all);
    moved.table = second.table;
    ASSERT_TRUE(RunOn(2, dataset, moved, &summary).ok()) << first.name << " to " << second.name;
    ASSERT_TRUE(summary.last_loss.has_value() && one.last_loss.has_value());
    EXPECT_NEAR(*summary.last_loss, *one.last_loss, 1e-5 * *one.last_loss)
        << first.name << " on 3 ranks, then " << second.name << " on 2";
  }
}

TEST(PlacementTest, ResumedRunsEndWithTheSameBits) {
  const FakeDataset dataset({.users = 31, .items = 29, .train_per_user = 6, .test_per_user = 2});
  for (const Placement& placement : Placements()) {
    TrainSummary summary;
    const TrainRun undisturbed = LoopRun("undisturbed", placement);
    ASSERT_TRUE(RunOn(3, dataset, undisturbed, &summary).ok());
    const TrainRun run = LoopRun("resumed", placement);
    ASSERT_TRUE(ArmFailpoints("trainer.step@0#6=error").ok());
    EXPECT_FALSE(RunOn(3, dataset, run, &summary).ok());
    ASSERT_TRUE(ArmFailpoints("").ok());
    ASSERT_TRUE(RunOn(3, dataset, run, &summary).ok());
    EXPECT_EQ(LastDigest(run), LastDigest(undisturbed)) << placement.name;
  }
}

}  // namespace
}  // namespace torii::trainer
