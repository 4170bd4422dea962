#include "trainer/train_loop.h"

#include <atomic>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/support/run_on_ranks.h"
#include "tests/support/small_runs.h"

namespace torii::trainer {
namespace {

using testing::FakeDataset;

constexpr int64_t kSteps = 15;

FakeDataset Data() {
  return FakeDataset({.users = 31, .items = 29, .train_per_user = 6, .test_per_user = 2});
}

TrainRun LoopRun(const std::string& name) {
  const testing::SmallRun small =
      testing::ConcatRun(sharding::TableConfig::ADAM, DenseOptimizerConfig::ADAM);
  TrainRun run;
  run.run_dir = ::testing::TempDir() + "/train_loop_test_" + name;
  EXPECT_TRUE(LocalFiles().RemoveAll(run.run_dir).ok());
  EXPECT_TRUE(LocalFiles().MakeDirectories(run.run_dir).ok());
  run.model = small.model.model;
  run.tables = small.model.tables;
  run.sampler = small.sampler;
  run.train.set_global_batch(32);
  run.train.set_epochs(100);
  run.train.set_max_steps(kSteps);
  run.train.set_log_every(4);
  run.train.set_best_metric("recall@10");
  run.train.mutable_schedule()->set_kind(Schedule::COSINE);
  run.train.mutable_schedule()->set_warmup_steps(3);
  run.train.mutable_checkpoint()->set_every_steps(4);
  return run;
}

absl::Status RunOn(int world, const data::Dataset& dataset, const TrainRun& run,
                   TrainSummary* summary = nullptr) {
  return comm::RunRanks(world, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(TrainSummary mine, RunTraining(LocalFiles(), comm, dataset, run));
    if (comm.rank() == 0 && summary != nullptr) *summary = std::move(mine);
    return absl::OkStatus();
  });
}

std::string FinalDigest(const TrainRun& run) {
  const auto newest = NewestCheckpoint(LocalFiles(), run.run_dir + "/checkpoints");
  if (!newest.ok() || !newest->has_value()) return "none";
  EXPECT_TRUE((*newest)->ends_with("step-00000015")) << **newest;
  const auto digests = CheckpointDigests(LocalFiles(), **newest);
  return digests.ok() ? digests->front().second : digests.status().ToString();
}

std::vector<nlohmann::json> MetricLines(const TrainRun& run, const std::string& phase) {
  std::istringstream text(*ReadFile(LocalFiles(), run.run_dir + "/metrics.jsonl"));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(text, line);) {
    nlohmann::json entry = nlohmann::json::parse(line);
    if (entry["phase"] == phase) lines.push_back(std::move(entry));
  }
  return lines;
}

TEST(TrainLoopTest, StoppedAnywhereAndResumedEndsWithTheSameBits) {
  const FakeDataset dataset = Data();
  for (const int world : {1, 3}) {
    const TrainRun undisturbed = LoopRun("undisturbed");
    ASSERT_TRUE(RunOn(world, dataset, undisturbed).ok());
    const std::string want = FinalDigest(undisturbed);
    for (const int stop : {1, 4, 5, 7, 14}) {
      const TrainRun run = LoopRun("stopped");
      ASSERT_TRUE(ArmFailpoints(absl::StrCat("trainer.step@0#", stop, "=error")).ok());
      EXPECT_FALSE(RunOn(world, dataset, run).ok());
      ASSERT_TRUE(ArmFailpoints("").ok());
      ASSERT_TRUE(RunOn(world, dataset, run).ok());
      EXPECT_EQ(FinalDigest(run), want) << world << " ranks, stopped at " << stop;
      EXPECT_EQ(MetricLines(run, "train").size(), MetricLines(undisturbed, "train").size());
    }
  }
}

TEST(TrainLoopTest, RepeatedRunGivesTheSameDigest) {
  const FakeDataset dataset = Data();
  std::vector<std::string> digests;
  for (const char* name : {"first", "second"}) {
    const TrainRun run = LoopRun(name);
    ASSERT_TRUE(RunOn(2, dataset, run).ok());
    digests.push_back(FinalDigest(run));
  }
  EXPECT_EQ(digests[0], digests[1]);
}

TEST(TrainLoopTest, ResumedOnOtherRanksContinuesWithTheSameLosses) {
  const FakeDataset dataset = Data();
  const TrainRun undisturbed = LoopRun("one_world");
  ASSERT_TRUE(RunOn(1, dataset, undisturbed).ok());
  const auto want = MetricLines(undisturbed, "train");
  for (const auto& [first, second] : std::vector<std::pair<int, int>>{{1, 4}, {3, 2}, {4, 1}}) {
    const TrainRun run = LoopRun("other_world");
    ASSERT_TRUE(ArmFailpoints("trainer.step@0#8=error").ok());
    EXPECT_FALSE(RunOn(first, dataset, run).ok());
    ASSERT_TRUE(ArmFailpoints("").ok());
    ASSERT_TRUE(RunOn(second, dataset, run).ok());
    const auto got = MetricLines(run, "train");
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(got[i]["step"], want[i]["step"]);
      EXPECT_NEAR(got[i]["loss"].get<double>(), want[i]["loss"].get<double>(),
                  1e-5 * want[i]["loss"].get<double>());
    }
  }
}

TEST(TrainLoopTest, StopFlagLeavesAGoodCheckpoint) {
  const FakeDataset dataset = Data();
  const TrainRun undisturbed = LoopRun("flag_undisturbed");
  ASSERT_TRUE(RunOn(2, dataset, undisturbed).ok());
  TrainRun run = LoopRun("flag");
  std::atomic<bool> stop = true;
  run.stop = &stop;
  const absl::Status stopped = RunOn(2, dataset, run);
  EXPECT_EQ(ExitCodeOf(stopped), ExitCode::kInterrupted) << stopped;
  stop = false;
  ASSERT_TRUE(RunOn(2, dataset, run).ok());
  EXPECT_EQ(FinalDigest(run), FinalDigest(undisturbed));
}

TEST(TrainLoopTest, StopsEarlyWithoutGainAndKeepsTheBest) {
  const FakeDataset dataset = Data();
  TrainRun run = LoopRun("patience");
  run.train.set_max_steps(0);
  run.train.set_eval_every_epochs(0);
  run.train.set_eval_every_steps(1);
  run.train.set_patience(3);
  run.tables.set_learning_rate(1e-12);  // nothing changes: the first evaluation is the best
  run.train.mutable_dense()->set_learning_rate(0);
  TrainSummary summary;
  ASSERT_TRUE(RunOn(2, dataset, run, &summary).ok());
  EXPECT_EQ(summary.progress.step, 4);
  EXPECT_EQ(summary.progress.best_step, 1);
  EXPECT_TRUE(summary.best_checkpoint.ends_with("step-00000001"));
  EXPECT_TRUE(ReadCheckpointInfo(LocalFiles(), summary.best_checkpoint, true).ok());
  EXPECT_EQ(MetricLines(run, "eval_test").size(), 4u);
}

TEST(TrainLoopTest, RefusesACheckpointOfOtherData) {
  const FakeDataset dataset = Data();
  const TrainRun run = LoopRun("other_data");
  ASSERT_TRUE(RunOn(1, dataset, run).ok());
  const FakeDataset other(
      {.users = 31, .items = 29, .train_per_user = 6, .test_per_user = 2, .seed = 9});
  EXPECT_EQ(ExitCodeOf(RunOn(1, other, run)), ExitCode::kConfig);
}

TEST(TrainLoopTest, DivergenceEndsTheRunWithoutACheckpointOfIt) {
  const FakeDataset dataset = Data();
  TrainRun run = LoopRun("diverged");
  run.model.set_normalize(false);
  run.tables.set_optimizer(sharding::TableConfig::SGD);
  run.tables.set_learning_rate(1e30);
  const absl::Status status = RunOn(2, dataset, run);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kDiverged) << status;
}

}  // namespace
}  // namespace torii::trainer
