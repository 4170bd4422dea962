#include "trainer/train_loop.h"

#include <atomic>

#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/field_changes.h"
#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/trainer/loop_run.h"

namespace torii::trainer {
namespace {

using ::testing::AllOf;
using testing::FakeDataset;
using ::testing::HasSubstr;

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
  EXPECT_EQ(summary.position.step(), 4);
  EXPECT_EQ(summary.evaluations.best_step(), 1);
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

// `run` with a configuration that its checkpoints are compared with.
TrainRun Compared(TrainRun run) {
  const TrainConfig config = run.train;
  run.resolved_config = config.DebugString();
  run.changes_since =
      [config](const std::string& theirs) -> absl::StatusOr<std::vector<FieldChange>> {
    TrainConfig before;
    if (!google::protobuf::TextFormat::ParseFromString(theirs, &before)) return DataError("no");
    return CompareFields(before, config);
  };
  return run;
}

TEST(TrainLoopTest, AChangeOfMeaningIsRefusedWithEachField) {
  const FakeDataset dataset = Data();
  TrainRun run = LoopRun("meaning");
  run.train.set_max_steps(7);
  ASSERT_TRUE(RunOn(2, dataset, Compared(run)).ok());
  run.train.set_max_steps(kSteps);
  run.train.mutable_schedule()->set_kind(Schedule::CONSTANT);
  run.train.set_global_batch(400);
  const absl::Status refused = RunOn(2, dataset, Compared(run));
  EXPECT_EQ(ExitCodeOf(refused), ExitCode::kConfig) << refused;
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("global_batch 32 -> 400"), HasSubstr("schedule.kind COSINE -> CONST"),
                    HasSubstr("--resume accept-config")));
  // Accepted, the run goes on where the data allow it: an epoch has one step now.
  run.resume = Resume::kAcceptConfig;
  EXPECT_TRUE(RunOn(2, dataset, Compared(run)).ok());
  EXPECT_EQ(NewestStep(run), kSteps);
}

TEST(TrainLoopTest, TheLengthIsFreeUnlessTheScheduleDependsOnIt) {
  const FakeDataset dataset = Data();
  for (const auto kind : {Schedule::CONSTANT, Schedule::INVERSE_SQRT, Schedule::LINEAR}) {
    TrainRun run = LoopRun("length");
    run.train.mutable_schedule()->set_kind(kind);
    run.train.set_max_steps(5);
    ASSERT_TRUE(RunOn(1, dataset, Compared(run)).ok());
    run.train.set_max_steps(8);
    run.train.set_log_every(3);
    run.train.mutable_checkpoint()->set_keep(5);
    const absl::Status longer = RunOn(1, dataset, Compared(run));
    EXPECT_EQ(ExitCodeOf(longer), kind == Schedule::LINEAR ? ExitCode::kConfig : ExitCode::kOk);
    EXPECT_EQ(NewestStep(run), kind == Schedule::LINEAR ? 5 : 8);
  }
}

TEST(TrainLoopTest, ACompleteRunDoesNothing) {
  const FakeDataset dataset = Data();
  TrainRun run = LoopRun("complete");
  ASSERT_TRUE(RunOn(2, dataset, run).ok());
  const std::string metrics = *ReadFile(LocalFiles(), run.run_dir + "/metrics.jsonl");
  const std::string digest = FinalDigest(run);
  run.before_training = [] { return InternalError("it trains"); };
  TrainSummary summary;
  ASSERT_TRUE(RunOn(2, dataset, run, &summary).ok());
  EXPECT_EQ(summary.position.step(), kSteps);
  EXPECT_EQ(summary.last_loss, std::nullopt);
  EXPECT_TRUE(LocalFiles().Info(summary.best_checkpoint)->exists);
  EXPECT_EQ(*ReadFile(LocalFiles(), run.run_dir + "/metrics.jsonl"), metrics);
  EXPECT_EQ(FinalDigest(run), digest);
}

// A run whose evaluations never gain: it stops early.
TrainRun ImpatientRun(const std::string& name) {
  TrainRun run = LoopRun(name);
  run.train.set_max_steps(12);
  run.train.set_eval_every_epochs(0);
  run.train.set_eval_every_steps(1);
  run.train.set_patience(3);
  run.tables.set_learning_rate(1e-12);
  run.train.mutable_dense()->set_learning_rate(0);
  return run;
}

TEST(TrainLoopTest, AnEarlyStoppedRunGoesOnOnlyWithMorePatience) {
  const FakeDataset dataset = Data();
  TrainRun run = ImpatientRun("early_stopped");
  for (int start = 0; start < 3; ++start) {
    TrainSummary summary;
    ASSERT_TRUE(RunOn(2, dataset, run, &summary).ok());
    EXPECT_EQ(summary.position.step(), 4) << start;
    EXPECT_EQ(summary.evaluations.evaluations_without_gain(), 3) << start;
  }
  run.train.set_patience(5);
  ASSERT_TRUE(RunOn(2, dataset, run).ok());
  EXPECT_EQ(NewestStep(run), 6);
}

// F5: killed after any step, it stops at the same one.
TEST(TrainLoopTest, KilledBeforeItStopsEarlyItStopsAtTheSameStep) {
  const FakeDataset dataset = Data();
  const TrainRun undisturbed = ImpatientRun("early_undisturbed");
  ASSERT_TRUE(RunOn(1, dataset, undisturbed).ok());
  for (const char* fault : {"trainer.step@0#3", "trainer.evaluate@0#4", "checkpoint.write@0#2"}) {
    const TrainRun run = ImpatientRun("early_killed");
    ASSERT_TRUE(ArmFailpoints(absl::StrCat(fault, "=error")).ok());
    EXPECT_FALSE(RunOn(1, dataset, run).ok()) << fault;
    ASSERT_TRUE(ArmFailpoints("").ok());
    ASSERT_TRUE(RunOn(1, dataset, run).ok());
    EXPECT_EQ(NewestDigests(run), NewestDigests(undisturbed)) << fault;
  }
}

TEST(TrainLoopTest, AnotherMeasureForgetsTheBestOfTheOldOne) {
  const FakeDataset dataset = Data();
  TrainRun run = LoopRun("measure");
  run.train.set_eval_every_steps(2);
  run.train.set_max_steps(8);
  run.train.set_best_metric("hit_rate@10");
  run.train.mutable_schedule()->Clear();
  ASSERT_TRUE(RunOn(1, dataset, run).ok());
  run.train.set_best_metric("ndcg@10");
  run.train.set_max_steps(12);
  TrainSummary summary;
  ASSERT_TRUE(RunOn(1, dataset, run, &summary).ok());
  EXPECT_GT(summary.evaluations.best_step(), 8);
  EXPECT_TRUE(summary.evaluations.measure().starts_with("ndcg@10 on "))
      << summary.evaluations.measure();
}

TEST(TrainLoopTest, ResumeNeverKeepsTheOldCheckpointsAside) {
  const FakeDataset dataset = Data();
  TrainRun run = LoopRun("never");
  ASSERT_TRUE(RunOn(2, dataset, run).ok());
  const std::string digest = FinalDigest(run);
  run.resume = Resume::kNever;
  run.train.set_max_steps(2);
  ASSERT_TRUE(RunOn(2, dataset, run).ok());
  EXPECT_EQ(NewestStep(run), 2);
  EXPECT_EQ(CheckpointDigests(LocalFiles(), run.run_dir + "/checkpoints.old-1/step-00000015")
                ->front()
                .second,
            digest);
}

// F18: metrics.jsonl is a log, not a condition.
TEST(TrainLoopTest, BadLinesOfMetricsAreLeftOut) {
  const FakeDataset dataset = Data();
  const TrainRun run = LoopRun("bad_metrics");
  const std::string path = run.run_dir + "/metrics.jsonl";
  ASSERT_TRUE(WriteFileAtomically(LocalFiles(), path,
                                  absl::StrCat("{\"step\":\"x\"}\n[1]\n{}\n\n{\"step\":1e300}\n",
                                               std::string(100000, '['), "\n{\"step\": 0}\n{\"st"))
                  .ok());
  ASSERT_TRUE(RunOn(1, dataset, run).ok());
  EXPECT_TRUE(ReadFile(LocalFiles(), path)->starts_with("{\"step\": 0}\n{\"ts\":"));
}

TEST(TrainLoopTest, TrainsTheSameWithoutPrefetch) {
  const FakeDataset dataset = Data();
  std::vector<std::string> digests;
  for (const int prefetch : {0, 3}) {
    TrainRun run = LoopRun("prefetch");
    run.train.set_prefetch(prefetch);
    ASSERT_TRUE(RunOn(2, dataset, run).ok());
    digests.push_back(FinalDigest(run));
  }
  EXPECT_EQ(digests[0], digests[1]);
}

}  // namespace
}  // namespace torii::trainer
