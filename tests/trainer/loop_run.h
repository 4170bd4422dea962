// A small run of the whole loop, and what it leaves behind.
#pragma once

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/support/run_on_ranks.h"
#include "tests/support/small_runs.h"
#include "trainer/train_loop.h"

namespace torii::trainer {

inline constexpr int64_t kSteps = 15;

inline testing::FakeDataset Data() {
  return testing::FakeDataset({.users = 31, .items = 29, .train_per_user = 6, .test_per_user = 2});
}

inline TrainRun LoopRun(const std::string& name) {
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

inline absl::Status RunOn(int world, const data::Dataset& dataset, const TrainRun& run,
                          TrainSummary* summary = nullptr) {
  return comm::RunRanks(world, [&](comm::Communicator& comm) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(TrainSummary mine, RunTraining(LocalFiles(), comm, dataset, run));
    if (comm.rank() == 0 && summary != nullptr) *summary = std::move(mine);
    return absl::OkStatus();
  });
}

inline std::string FinalDigest(const TrainRun& run) {
  const auto newest = NewestCheckpoint(LocalFiles(), run.run_dir + "/checkpoints");
  if (!newest.ok() || !newest->has_value()) return "none";
  EXPECT_EQ((*newest)->step, kSteps);
  const auto digests = CheckpointDigests(LocalFiles(), (*newest)->path);
  return digests.ok() ? digests->front().second : digests.status().ToString();
}

// Of the newest checkpoint.
inline int64_t NewestStep(const TrainRun& run) {
  const auto newest = NewestCheckpoint(LocalFiles(), run.run_dir + "/checkpoints");
  return newest.ok() && newest->has_value() ? (*newest)->step : -1;
}

inline std::vector<std::pair<std::string, std::string>> NewestDigests(const TrainRun& run) {
  const auto digests = CheckpointDigests(
      LocalFiles(), CheckpointPath(run.run_dir + "/checkpoints", NewestStep(run)));
  return digests.ok() ? *digests : std::vector<std::pair<std::string, std::string>>();
}

inline std::vector<nlohmann::json> MetricLines(const TrainRun& run, const std::string& phase) {
  std::istringstream text(*ReadFile(LocalFiles(), run.run_dir + "/metrics.jsonl"));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(text, line);) {
    nlohmann::json entry = nlohmann::json::parse(line);
    if (entry["phase"] == phase) lines.push_back(std::move(entry));
  }
  return lines;
}

// The digest of a run that is trained to its end, and goes on on the next device where a step fails.
inline std::string DigestAfter(const std::string& name, int world,
                               const std::vector<kernels::Device>& devices) {
  const testing::FakeDataset dataset = Data();
  TrainRun run = LoopRun(name);
  run.train.set_eval_every_steps(5);
  for (size_t d = 0; d < devices.size(); ++d) {
    run.device = devices[d];
    const bool last = d + 1 == devices.size();
    if (!last) {
      EXPECT_TRUE(ArmFailpoints("trainer.step@0#6=error").ok());
    }
    EXPECT_EQ(RunOn(world, dataset, run).ok(), last);
    EXPECT_TRUE(ArmFailpoints("").ok());
  }
  return FinalDigest(run);
}

}  // namespace torii::trainer
