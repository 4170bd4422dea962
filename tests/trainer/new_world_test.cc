// A run outlives its world: when a rank is lost, the process drops the communicators, makes a world
// of the ranks that are left and goes on from the last checkpoint with the same global batch.
#include <ATen/ATen.h>

#include <map>
#include <string>

#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/support/run_on_ranks.h"
#include "tests/support/small_runs.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/train_loop.h"

namespace torii::trainer {
namespace {

using testing::FakeDataset;
using Tensors = std::map<std::string, at::Tensor>;

TrainRun RunIn(const std::string& name) {
  const testing::SmallRun small =
      testing::ConcatRun(sharding::TableConfig::ADAM, DenseOptimizerConfig::ADAM);
  TrainRun run;
  run.run_dir = ::testing::TempDir() + "/new_world_test_" + name;
  EXPECT_TRUE(LocalFiles().RemoveAll(run.run_dir).ok());
  EXPECT_TRUE(LocalFiles().MakeDirectories(run.run_dir).ok());
  run.model = small.model.model;
  run.tables = small.model.tables;
  run.sampler = small.sampler;
  run.train.set_global_batch(32);
  run.train.set_epochs(100);
  run.train.set_max_steps(12);
  run.train.set_best_metric("recall@10");
  run.train.mutable_checkpoint()->set_every_steps(5);
  return run;
}

absl::Status Train(int world, const data::Dataset& dataset, const TrainRun& run) {
  return comm::RunRanks(world, [&](comm::Communicator& comm) {
    return RunTraining(LocalFiles(), comm, dataset, run).status();
  });
}

// Every tensor of the last checkpoint: weights and optimizer state, of tables by shard.
absl::StatusOr<Tensors> LastState(const TrainRun& run) {
  FileSystem& files = LocalFiles();
  const std::string folder = JoinPath(run.run_dir, "checkpoints/step-00000012");
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(folder));
  Tensors tensors;
  for (const std::string& name : names) {
    if (!name.ends_with(".safetensors")) continue;
    const std::string path = JoinPath(folder, name);
    TORII_ASSIGN_OR_RETURN(const auto entries, ReadSafetensorsHeader(files, path));
    for (const auto& [tensor, entry] : entries) {
      TORII_ASSIGN_OR_RETURN(tensors[name + ":" + tensor], ReadSafetensor(files, path, entry));
    }
  }
  return tensors;
}

TEST(NewWorldTest, ARunGoesOnInAnotherWorldOfTheSameProcess) {
  const FakeDataset dataset({.users = 31, .items = 29, .train_per_user = 6, .test_per_user = 2});
  for (const auto& [first, second] : std::vector<std::pair<int, int>>{{3, 2}, {4, 1}, {2, 3}}) {
    const TrainRun undisturbed = RunIn("undisturbed");
    ASSERT_TRUE(Train(second, dataset, undisturbed).ok());
    const TrainRun run = RunIn("lost_rank");
    // The last rank fails in its sixth step: the world has committed five.
    ASSERT_TRUE(ArmFailpoints(absl::StrCat("trainer.step@", first - 1, "#6=error")).ok());
    EXPECT_FALSE(Train(first, dataset, run).ok());
    ASSERT_TRUE(ArmFailpoints("").ok());

    CountFailpoints(true);
    ASSERT_TRUE(Train(second, dataset, run).ok());
    const int64_t steps = FailpointHits()["trainer.step"] / second;
    CountFailpoints(false);

    EXPECT_EQ(steps, 12 - 5) << "it started again";
    const absl::StatusOr<Tensors> want = LastState(undisturbed);
    const absl::StatusOr<Tensors> got = LastState(run);
    ASSERT_TRUE(want.ok() && got.ok()) << want.status() << got.status();
    ASSERT_GT(want->size(), 5u);
    ASSERT_EQ(got->size(), want->size());
    for (const auto& [name, tensor] : *want) {
      if (tensor.numel() == 0) continue;
      const at::Tensor off = (got->at(name) - tensor).abs() / (1 + tensor.abs());
      EXPECT_LE(off.max().item<double>(), 1e-5)
          << name << ", " << first << " ranks, then " << second;
    }
  }
}

}  // namespace
}  // namespace torii::trainer
