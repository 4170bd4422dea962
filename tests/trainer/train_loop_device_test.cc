// The loop on a device that runs behind its calls, and with numbers that are not finite.
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "gtest/gtest.h"
#include "tests/trainer/loop_run.h"

namespace torii::trainer {
namespace {

using testing::FakeDataset;

TEST(TrainLoopDeviceTest, DivergenceEndsTheRunWithoutACheckpointOfIt) {
  const FakeDataset dataset = Data();
  TrainRun run = LoopRun("diverged");
  run.model.set_normalize(false);
  run.tables.set_optimizer(sharding::TableConfig::SGD);
  run.tables.set_learning_rate(1e30);
  for (const kernels::Device& device : {kernels::Device::Cpu(), kernels::Device::Composed()}) {
    run.device = device;
    const absl::Status status = RunOn(2, dataset, run);
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kDiverged) << status;
    EXPECT_EQ(NewestStep(run), -1);
  }
}

// A device that runs behind its calls: numbers are read one step late, and never too late.
TEST(TrainLoopDeviceTest, NumbersThatAreReadLateAreTheSame) {
  const FakeDataset dataset = Data();
  const TrainRun in_time = LoopRun("in_time");
  ASSERT_TRUE(RunOn(2, dataset, in_time).ok());
  TrainRun late = LoopRun("late");
  late.device = kernels::Device::Composed();
  late.train.set_eval_every_steps(5);
  TrainSummary summary;
  ASSERT_TRUE(RunOn(2, dataset, late, &summary).ok());
  const auto want = MetricLines(in_time, "train"), got = MetricLines(late, "train");
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    for (const char* exact : {"step", "epoch", "columns", "learning_rate_factor"}) {
      EXPECT_EQ(got[i][exact], want[i][exact]) << exact << " of line " << i;
    }
    EXPECT_NEAR(got[i]["loss"].get<double>(), want[i]["loss"].get<double>(), 1e-3);
  }
  EXPECT_EQ(summary.last_loss, got.back()["loss"].get<double>());

  // Stopped anywhere it ends with the same bits: a checkpoint has the numbers of its step.
  for (const int stop : {3, 8, 13}) {
    TrainRun run = LoopRun("late_stopped");
    run.device = late.device;
    run.train.set_eval_every_steps(5);
    ASSERT_TRUE(ArmFailpoints(absl::StrCat("trainer.step@0#", stop, "=error")).ok());
    EXPECT_FALSE(RunOn(2, dataset, run).ok());
    ASSERT_TRUE(ArmFailpoints("").ok());
    ASSERT_TRUE(RunOn(2, dataset, run).ok());
    EXPECT_EQ(FinalDigest(run), FinalDigest(late)) << "stopped at " << stop;
  }
}

}  // namespace
}  // namespace torii::trainer
