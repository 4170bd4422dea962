#include "trainer/cadence.h"

#include "gtest/gtest.h"

namespace torii::trainer {
namespace {

TrainConfig Config() {
  TrainConfig config;
  config.set_epochs(3);
  config.set_log_every(4);
  return config;
}

// The steps after which `due` holds, of a run of epochs of 5 steps.
std::vector<int64_t> Steps(const TrainConfig& config, bool can_evaluate,
                           bool (Cadence::*due)(const RunPosition&) const) {
  const Cadence cadence(config, 5, can_evaluate);
  std::vector<int64_t> steps;
  RunPosition position;
  while (!cadence.AtEnd(position)) {
    cadence.Advance(7, &position);
    EXPECT_EQ(position.epoch() * 5 + position.step_in_epoch(), position.step());
    EXPECT_EQ(position.rows_seen(), 7 * position.step());
    if ((cadence.*due)(position)) steps.push_back(position.step());
  }
  return steps;
}

using Expected = std::vector<int64_t>;

TEST(CadenceTest, TheLastStepIsDueForEverything) {
  TrainConfig config = Config();
  config.set_max_steps(13);
  config.mutable_checkpoint()->set_every_epochs(2);
  EXPECT_EQ(Steps(config, true, &Cadence::LogDue), (Expected{4, 8, 12, 13}));
  EXPECT_EQ(Steps(config, true, &Cadence::EvaluationDue), (Expected{5, 10, 13}));
  EXPECT_EQ(Steps(config, true, &Cadence::SaveDue), (Expected{10, 13}));
}

TEST(CadenceTest, StepsAndEpochsAddUpAndZeroIsOff) {
  TrainConfig config = Config();
  config.set_log_every(0);
  config.set_eval_every_steps(6);
  config.mutable_checkpoint()->set_every_epochs(0);
  EXPECT_EQ(Steps(config, true, &Cadence::LogDue), (Expected{15}));
  EXPECT_EQ(Steps(config, true, &Cadence::EvaluationDue), (Expected{5, 6, 10, 12, 15}));
  EXPECT_EQ(Steps(config, false, &Cadence::EvaluationDue), Expected{});
  EXPECT_EQ(Steps(config, true, &Cadence::SaveDue), (Expected{15}));
}

TEST(CadenceTest, APositionBehindTheEpochGoesToTheNext) {
  const Cadence cadence(Config(), 5, true);
  RunPosition position;
  position.set_epoch(1);
  position.set_step_in_epoch(4);
  EXPECT_FALSE(cadence.FitEpoch(&position));
  position.set_step_in_epoch(9);
  EXPECT_TRUE(cadence.FitEpoch(&position));
  EXPECT_EQ(position.epoch(), 2);
  EXPECT_EQ(position.step_in_epoch(), 0);
}

}  // namespace
}  // namespace torii::trainer
